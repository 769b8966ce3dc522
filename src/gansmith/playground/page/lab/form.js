// The settings of one side, as a form; told to `changed` as soon as one is another.
import { el } from "/page/lab/dom.js";

const NUMBERS = [
  ["d_lr", "rate"], ["g_lr", "rate"], ["beta1", "beta"], ["beta2", "beta"], ["d_steps", 1, 20], ["g_steps", 1, 20],
  ["d_width", 1, 512], ["d_depth", 1, 8], ["g_width", 1, 512], ["g_depth", 1, 8], ["noise", 1, 64], ["batch", 2, 1024],
];
const GROUPS = [["optimizer", "d_lr", "g_lr", "beta1", "beta2"], ["d_steps", "g_steps"], ["d_width", "d_depth", "g_width", "g_depth"], ["noise", "batch"]];

export const spoken = (name) => name.replaceAll("_", " ");

export class Form {
  constructor(words, choices, changed) {
    Object.assign(this, { words, choices, changed });
    this.fields = {};
    this.penalties = el("div", { class: "penalties" });
    const add = el("button", { type: "button", class: "small", onclick: () => this.add() }, words("lab.addPenalty"));
    this.root = el(
      "form",
      { class: "settings", onsubmit: () => false },
      this.choice("loss", choices.loss),
      el("fieldset", {}, el("legend", {}, words("lab.penalties")), this.penalties, add),
      ...GROUPS.map((names) => el("div", { class: "pair" }, ...names.map((name) => this.field(name)))),
    );
  }

  labelled(name, input) {
    input.id = `set-${name}`;
    this.fields[name] = input;
    return el("label", { for: input.id, title: this.words(`lab.why.${name}`) }, el("span", {}, this.words(`lab.${name}`)), input);
  }

  choice(name, options) {
    const select = el("select", { onchange: () => this.take(name, select.value) });
    select.append(...options.map((option) => el("option", { value: option }, spoken(option))));
    return this.labelled(name, select);
  }

  field(name) {
    if (name === "optimizer") return this.choice(name, this.choices.optimizer);
    const [, low, high] = NUMBERS.find(([each]) => each === name);
    const limits = low === "rate" ? { min: 0, max: 10, step: "any" } : low === "beta" ? { min: 0, max: 0.9999, step: "any" } : { min: low, max: high, step: 1 };
    const input = el("input", { type: "number", inputmode: "decimal", ...Object.fromEntries(Object.entries(limits).map(([k, v]) => [k, String(v)])) });
    input.onchange = () => {
      if (input.reportValidity() && input.value !== "") this.take(name, Number(input.value));
      else input.value = String(this.settings[name]);
    };
    return this.labelled(name, input);
  }

  take(name, value) {
    this.changed({ ...this.settings, [name]: value });
  }

  show(settings) {
    this.settings = settings;
    for (const [name, input] of Object.entries(this.fields)) {
      if (document.activeElement !== input || input.tagName === "SELECT") input.value = String(settings[name]);
    }
    const key = JSON.stringify(settings.penalties);
    if (key === this.drawn) return;
    this.drawn = key;
    this.penalties.replaceChildren(...Object.entries(settings.penalties).map(([name, weight]) => this.penalty(name, weight)));
  }

  penalty(name, weight) {
    const put = (pairs) => this.changed({ ...this.settings, penalties: Object.fromEntries(pairs) });
    const others = Object.entries(this.settings.penalties);
    const select = el("select", { "aria-label": this.words("lab.penalty") });
    const free = this.choices.penalties.filter((each) => each === name || !(each in this.settings.penalties));
    select.append(...free.map((each) => el("option", { value: each }, spoken(each))));
    select.value = name;
    select.onchange = () => put(others.map(([each, w]) => (each === name ? [select.value, w] : [each, w])));
    const number = el("input", { type: "number", min: "0", max: "1000000", step: "any", "aria-label": `${this.words("lab.weight")}: ${spoken(name)}` });
    number.value = String(weight);
    number.onchange = () => number.reportValidity() && number.value !== "" && put(others.map(([each, w]) => (each === name ? [each, Number(number.value)] : [each, w])));
    const remove = el("button", { type: "button", "aria-label": `${this.words("lab.remove")}: ${spoken(name)}`, onclick: () => put(others.filter(([each]) => each !== name)) }, "×");
    return el("div", { class: "penalty" }, select, number, remove);
  }

  add() {
    const free = this.choices.penalties.filter((each) => !(each in this.settings.penalties));
    const best = ["r1", "r2", "gradient_penalty"].find((each) => free.includes(each)) || free[0];
    if (best) this.changed({ ...this.settings, penalties: { ...this.settings.penalties, [best]: best === "gradient_penalty" ? 1 : 0.1 } });
  }
}

// Eight short steps for who has never seen a GAN; each sets the Lab up for what it tells.
import { el } from "/page/lab/dom.js";

// What each step does: settings over the usual ones, what is shown, what is lit, and whether it runs.
export const STEPS = [
  { name: "real", shown: ["real"], lit: ".middle", settings: {} },
  { name: "generator", shown: ["real", "fakes", "warp"], lit: ".middle" },
  { name: "discriminator", shown: ["real", "fakes", "surface"], lit: ".middle", steps: ["discriminator", 40] },
  { name: "pull", shown: ["real", "fakes", "surface", "arrows"], lit: ".parts" },
  { name: "train", shown: ["real", "fakes", "surface"], lit: ".transport", settings: {}, run: 0 },
  { name: "charts", shown: ["real", "fakes", "surface"], lit: ".charts", run: 0 },
  { name: "time", shown: ["real", "fakes", "surface", "warp"], lit: ".scrub", pause: true },
  { name: "fail", shown: ["real", "fakes", "surface"], lit: ".top", exhibit: "collapse", run: 0 },
];

export class Tour {
  constructor(words, lab) {
    Object.assign(this, { words, lab, at: -1 });
    this.title = el("h2", { tabindex: "-1" });
    this.text = el("p", {});
    this.back = el("button", { type: "button", onclick: () => this.go(this.at - 1) }, words("lab.tour.back"));
    this.next = el("button", { type: "button", class: "main", onclick: () => this.go(this.at + 1) }, words("lab.tour.next"));
    const close = el("button", { type: "button", onclick: () => this.close() }, words("lab.tour.close"));
    this.root = el("section", { class: "card tour", "aria-live": "polite", hidden: true }, this.title, this.text, el("div", { class: "bar" }, this.back, this.next, close));
  }

  async go(at) {
    if (at >= STEPS.length) return this.close();
    this.at = Math.max(at, 0);
    const step = STEPS[this.at];
    this.root.hidden = false;
    this.title.textContent = `${this.at + 1} / ${STEPS.length} · ${this.words(`lab.tour.${step.name}.title`)}`;
    this.text.textContent = this.words(`lab.tour.${step.name}.text`);
    this.back.disabled = this.at === 0;
    this.next.textContent = this.words(this.at === STEPS.length - 1 ? "lab.tour.done" : "lab.tour.next");
    for (const lit of this.lab.root.querySelectorAll(".lit")) lit.classList.remove("lit");
    const target = this.lab.root.querySelector(step.lit);
    if (target) target.classList.add("lit");
    this.title.focus({ preventScroll: false });
    await this.lab.stage(step);
  }

  close() {
    this.root.hidden = true;
    for (const lit of this.lab.root.querySelectorAll(".lit")) lit.classList.remove("lit");
  }
}

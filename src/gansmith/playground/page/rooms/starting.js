// The form that begins a training, and the command that is the same at the prompt.
import { copy, el, latest } from "/page/rooms/dom.js";

export function form(room) {
  return new Form(room);
}

class Form {
  constructor(room) {
    this.room = room;
    this.root = el("section", { class: "card", hidden: true, "aria-label": room.words("runs.new") });
    this.preview = latest(() => this.ask());
  }

  async toggle(button) {
    this.button = button;
    if (!this.built) {
      try {
        this.build(await this.room.socket.ask("choices"));
        this.built = true;
      } catch (error) {
        this.room.complain(error);
        return;
      }
    }
    this.root.hidden = !this.root.hidden;
    button.setAttribute("aria-expanded", String(!this.root.hidden));
    if (!this.root.hidden) {
      this.fields.recipe.focus();
      this.preview();
    }
  }

  build(choices) {
    const { words } = this.room, changed = () => this.preview();
    const option = (value, text) => el("option", { value }, text);
    const input = (fields) => el("input", { type: "text", autocomplete: "off", spellcheck: false, oninput: changed, ...fields });
    const f = (this.fields = {
      recipe: el("select", { name: "recipe", onchange: changed }, choices.recipes.map((each) => option(each.name, each.name))),
      data: el("select", { name: "data", onchange: changed }, choices.data.map((each) => option(each.name, each.ships ? each.name : `${each.name} (${words("runs.form.needs")})`)), choices.local ? option("", words("runs.form.path")) : null),
      where: input({ name: "where", placeholder: "path/to/pictures" }),
      root: input({ name: "root", placeholder: "~/data" }),
      kind: el("select", { name: "kind", "aria-label": words("runs.form.length"), onchange: changed }, ["", ...choices.lengths].map((each) => option(each, words(`runs.form.${each || "own"}`)))),
      value: input({ name: "value", value: "20k", size: 6, "aria-label": words("runs.form.length") }),
      seed: input({ name: "seed", inputMode: "numeric", placeholder: "0" }),
      name: input({ name: "name",}),
      fields: el("textarea", { name: "fields", rows: 2, spellcheck: false, oninput: changed }),
    });
    f.recipe.value = "auto";
    f.data.value = "digits";
    f.kind.value = "images";
    this.summary = el("p", { class: "quiet small wide", style: "margin:0" });
    this.summaries = Object.fromEntries(choices.recipes.map((each) => [each.name, each.summary]));
    this.ships = Object.fromEntries(choices.data.map((each) => [each.name, each.ships]));
    this.code = el("pre", { tabindex: "0", "aria-live": "polite", "aria-label": words("runs.form.command") });
    const taken = el("button", { type: "button", onclick: async () => {
      if (await copy(this.code.textContent)) taken.textContent = words("runs.copied");
      setTimeout(() => (taken.textContent = words("runs.copy")), 1500);
    } }, words("runs.copy"));
    this.start = el("button", { class: "main", type: "submit" }, words("runs.form.start"));
    const label = (name, ...inner) => el("label", {}, words(`runs.form.${name}`), inner);
    this.path = label("where", f.where);
    this.home = choices.local ? label("root", f.root) : null;
    const form = el("form", { class: "start", onsubmit: (event) => (event.preventDefault(), this.go()) },
      label("recipe", f.recipe), label("data", f.data), this.path, this.home,
      el("div", { role: "group", "aria-label": words("runs.form.length") }, el("label", {}, words("runs.form.length")), el("div", { class: "pair" }, f.value, f.kind)),
      label("seed", f.seed), label("name", f.name), el("label", { class: "wide" }, words("runs.form.fields"), f.fields), this.summary,
      el("div", { class: "wide" }, el("span", { class: "small quiet" }, words("runs.form.command")), el("div", { class: "command" }, this.code, taken, this.start)));
    this.root.append(el("h2", {}, words("runs.new")), form);
  }

  request() {
    const f = this.fields, lines = f.fields.value.split("\n").map((each) => each.trim()).filter(Boolean);
    const given = { recipe: f.recipe.value, data: f.data.value || f.where.value.trim(), name: f.name.value.trim(), root: f.data.value && this.ships[f.data.value] ? "" : f.root.value.trim() };
    if (f.kind.value) given.length = { kind: f.kind.value, value: f.value.value.trim() };
    if (f.seed.value.trim()) given.seed = Number(f.seed.value);
    given.fields = lines.map((line) => {
      const [name, ...rest] = line.replace(/^--/, "").split("=");
      return { name: name.trim(), value: rest.join("=").trim() };
    });
    return given;
  }

  async ask() {
    const f = this.fields;
    this.path.hidden = Boolean(f.data.value);
    if (this.home) this.home.hidden = Boolean(f.data.value) && this.ships[f.data.value];
    f.value.hidden = !f.kind.value;
    this.summary.textContent = this.summaries[f.recipe.value] || "";
    try {
      const told = await this.room.socket.ask("command", this.request());
      this.code.textContent = told.command;
      this.code.className = "";
      this.start.disabled = false;
    } catch (error) {
      this.code.textContent = [error.refused, error.remedy].filter(Boolean).join("\n");
      this.code.className = "warn";
      this.start.disabled = true;
    }
  }

  async go() {
    const { room } = this;
    this.start.disabled = true;
    try {
      const told = await room.socket.ask("start", this.request());
      room.live.textContent = room.words("runs.form.started", { run: told.run });
      this.root.hidden = true;
      this.button.setAttribute("aria-expanded", "false");
      this.button.focus();
      room.shown = [told.run];
      room.keep();
    } catch (error) {
      room.complain(error);
    } finally {
      this.start.disabled = false;
      room.refresh();
    }
  }
}

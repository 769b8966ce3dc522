// The Explore room: what a trained image model makes, and how that hangs together.
import { el, figures, latest, style } from "/page/rooms/dom.js";

const NUMBERS = [16, 36, 64, 100, 144];
const KEPT = 24, FAR = 4, FRAME = 50;

export async function open(root, socket, words, place, complain = console.error) {
  await style("explore");
  const room = new Room(root, socket, words, place, complain);
  await room.begin();
  return room;
}

// A sheet of images without gaps, as the server sends it, cut into canvases.
class Sheet {
  static async of(told) {
    const sheet = new Sheet();
    Object.assign(sheet, told);
    sheet.image = new Image();
    sheet.image.src = told.picture;
    await sheet.image.decode();
    return sheet;
  }

  paint(canvas, i) {
    const { width, height, columns } = this;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.className = Math.max(width, height) > 96 ? "smooth" : "";
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.image, (i % columns) * width, Math.floor(i / columns) * height, width, height, 0, 0, width, height);
    return canvas;
  }
}

class Room {
  constructor(root, socket, words, place, complain) {
    Object.assign(this, { root, socket, words, place, complain, show: figures(words.language) });
    const kept = new URLSearchParams(place.text);
    const number = (name, or) => (kept.has(name) && Number.isFinite(Number(kept.get(name))) ? Number(kept.get(name)) : or);
    this.state = {
      run: kept.get("run") || "", at: kept.has("at") ? number("at", null) : null, seed: number("seed", 0), n: number("n", 36),
      label: kept.has("label") ? number("label", null) : null, truncation: number("trunc", 1), by: kept.get("by") === "weights" ? "weights" : "outputs",
      amounts: (kept.get("push") || "").split(",").filter(Boolean).map(Number).filter(Number.isFinite),
      kept: (kept.get("kept") || "").split(",").filter(Boolean).map(sample).filter(Boolean).slice(0, KEPT),
    };
    this.chosen = 0;
    this.fetch = latest(() => this.guarded(() => this.grid()));
    this.refetch = latest(() => this.guarded(() => this.keptFaces()));
    this.rewalk = latest(() => this.guarded(() => this.walk()));
  }

  async begin() {
    this.build();
    this.socket.on("back", () => this.guarded(() => this.list()));
    this.parts.told.textContent = this.words("explore.loading"); // the first time a process begins, which takes seconds
    await this.guarded(() => this.list());
  }

  close() {
    this.closed = true;
    this.stop();
  }

  async guarded(work) {
    try {
      await work();
    } catch (error) {
      if (!error.lost && !this.closed) this.complain(error);
    }
  }

  keep() {
    const s = this.state, text = new URLSearchParams();
    if (s.run) text.set("run", s.run);
    if (s.at !== null) text.set("at", s.at);
    if (s.seed) text.set("seed", s.seed);
    if (s.n !== 36) text.set("n", s.n);
    if (s.label !== null) text.set("label", s.label);
    if (s.truncation !== 1) text.set("trunc", s.truncation);
    if (s.by !== "outputs") text.set("by", s.by);
    if (s.amounts.some(Boolean)) text.set("push", s.amounts.join(","));
    if (s.kept.length) text.set("kept", s.kept.map((each) => [each.seed, each.index, each.label ?? ""].join(".")).join(","));
    this.place.keep(text.toString());
  }

  // --- its parts ----------------------------------------------------------------------------------

  build() {
    const { words, state } = this;
    const field = (name, ...inner) => el("label", { class: "field" }, el("span", {}, words(`explore.${name}`)), inner);
    const p = (this.parts = {
      model: el("select", { name: "model", onchange: () => this.pick(p.model.value) }),
      checkpoint: el("select", { name: "checkpoint", onchange: () => this.change({ at: p.checkpoint.value ? Number(p.checkpoint.value) : null }, true) }),
      seed: el("input", { name: "seed", type: "number", min: 0, max: 2 ** 31 - 1, step: 1, value: state.seed, onchange: () => this.change({ seed: whole(p.seed.value) }) }),
      n: el("select", { name: "n", onchange: () => this.change({ n: Number(p.n.value) }) }, NUMBERS.map((n) => el("option", { value: n, selected: n === state.n }, n))),
      label: el("select", { name: "label", onchange: () => this.change({ label: p.label.value === "" ? null : Number(p.label.value) }) }),
      truncation: el("input", { name: "truncation", type: "range", min: 0.05, max: 1, step: 0.05, value: state.truncation, oninput: () => this.change({ truncation: Number(p.truncation.value) }) }),
      psi: el("output"), by: el("select", { name: "by", onchange: () => this.change({ by: p.by.value, amounts: [] }, true) }, ["outputs", "weights"].map((by) => el("option", { value: by, selected: by === state.by }, words(`explore.by.${by}`)))),
      sliders: el("div", { class: "sliders" }), grid: el("div", { class: "grid" }), told: el("p", { class: "quiet small", role: "status", "aria-live": "polite" }),
      kept: el("div", { class: "kept" }), one: el("div"), near: el("div", { "aria-live": "polite" }), empty: el("p", { class: "quiet", hidden: true }, words("explore.none")),
      facts: el("p", { class: "quiet small" }),
    });
    const other = el("button", { type: "button", onclick: () => this.change({ seed: 1 + Math.floor(Math.random() * 99999) }) }, words("explore.other"));
    p.labelField = field("label", p.label);
    const top = el("div", { class: "top" }, el("h1", {}, words("explore.title")), field("model", p.model), field("checkpoint", p.checkpoint), field("seed", p.seed), other, field("number", p.n), p.labelField);
    const truncation = el("section", { class: "card" }, el("h2", {}, words("explore.truncation")), el("div", { class: "slider" }, el("span", {}, "ψ"), p.truncation, p.psi), el("p", { class: "quiet small" }, words("explore.truncation.note")));
    p.truncation.setAttribute("aria-label", words("explore.truncation"));
    const directions = el("section", { class: "card" }, el("h2", {}, words("explore.directions")), field("by", p.by), el("p", { class: "quiet small" }, words("explore.directions.note")), p.sliders,
      el("button", { onclick: () => this.change({ amounts: [] }, true) }, words("explore.reset")));
    p.middle = el("section", { class: "card middle" }, p.facts, p.grid, p.told);
    const keptCard = el("section", { class: "card" }, el("h2", {}, words("explore.kept")), p.kept);
    p.oneCard = el("section", { class: "card", hidden: true }, el("h2", {}, words("explore.chosen")), p.one, p.near);
    p.walkCard = this.walker();
    p.all = [el("div", { class: "side left" }, truncation, directions), p.middle, el("div", { class: "side right" }, keptCard, p.oneCard, p.walkCard)];
    this.root.append(top, p.empty, ...p.all);
  }

  walker() {
    const { words } = this;
    const w = (this.film = { canvas: el("canvas", { role: "img" }), place: el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": words("explore.walk.place"), oninput: () => this.frame(Number(this.film.place.value)) }) });
    w.play = el("button", { onclick: () => (w.timer ? this.stop() : this.go()) }, words("explore.walk.play"));
    return el("section", { class: "card walk", hidden: true }, el("h2", {}, words("explore.walk")), el("p", { class: "quiet small" }, words("explore.walk.note")), w.canvas, w.place, w.play);
  }

  // --- the model ----------------------------------------------------------------------------------

  async list() {
    const { models } = await this.socket.ask("models");
    const { parts: p, state: s } = this;
    p.empty.hidden = Boolean(models.length);
    for (const each of p.all) each.hidden = !models.length;
    if (!models.length) return;
    if (s.run && !models.some((each) => each.run === s.run)) {
      this.complain({ refused: `${s.run}?`, remedy: null });
      s.run = "";
    }
    s.run = s.run || models[0].run;
    p.model.replaceChildren(...models.map((each) => el("option", { value: each.run, selected: each.run === s.run }, `${each.run} (${each.data}, ${each.shape.slice(1).join("×")})`)));
    await this.model();
  }

  pick(run) {
    Object.assign(this.state, { run, at: null, label: null, amounts: [], kept: [] });
    this.chosen = 0;
    this.guarded(() => this.model());
  }

  asked(more = {}) {
    const s = this.state;
    return { run: s.run, checkpoint: s.at ?? this.facts?.images ?? null, truncation: s.truncation, by: s.by, amounts: s.amounts, ...more };
  }

  async model() {
    const { parts: p, state: s, words, show } = this;
    this.stop();
    p.told.textContent = words("explore.loading");
    p.near.replaceChildren();
    const told = (this.facts = await this.socket.ask("open", { run: s.run, checkpoint: s.at }));
    p.checkpoint.replaceChildren(el("option", { value: "" }, words("explore.newest")), ...told.checkpoints.map((at) => el("option", { value: at, selected: at === s.at }, words("explore.after", { images: show.whole(at) }))));
    p.labelField.hidden = !told.classes;
    if (!told.classes) s.label = null;
    p.label.replaceChildren(el("option", { value: "" }, words("explore.turn")), ...(told.classes || []).map((name, i) => el("option", { value: i, selected: i === s.label }, name)));
    p.grid.style.setProperty("--side", `${Math.min(Math.max(told.shape[2], 64), 160)}px`);
    p.facts.textContent = [`${told.recipe}`, words("explore.after", { images: show.whole(told.images) }), `${told.shape.join("×")}`, ...told.notes].join(" · ");
    await this.sliders();
    this.keep();
    this.fetch();
    this.refetch();
  }

  async sliders() {
    const { parts: p, state: s, words } = this;
    const told = await this.socket.ask("directions", this.asked());
    const percent = new Intl.NumberFormat(words.language, { style: "percent", maximumFractionDigits: 1 });
    s.amounts = s.amounts.slice(0, told.number);
    p.sliders.replaceChildren(...told.shares.map((share, i) => {
      const value = s.amounts[i] || 0, out = el("output", {}, value.toFixed(1));
      const slide = el("input", { type: "range", min: -FAR, max: FAR, step: 0.1, value, "data-direction": i, "aria-label": words("explore.direction", { n: i + 1, share: percent.format(share) }) });
      slide.addEventListener("input", () => {
        out.textContent = Number(slide.value).toFixed(1);
        const amounts = Array.from({ length: Math.max(s.amounts.length, i + 1) }, (_, k) => (k === i ? Number(slide.value) : s.amounts[k] || 0));
        this.change({ amounts });
      });
      return el("div", { class: "slider" }, el("span", { "aria-hidden": "true" }, `${i + 1} · ${percent.format(share)}`), slide, out);
    }));
  }

  change(fields, anew = false) {
    Object.assign(this.state, fields);
    this.parts.seed.value = this.state.seed;
    this.keep();
    if (anew) {
      this.guarded(() => this.model());
      return;
    }
    this.fetch();
    if ("amounts" in fields || "truncation" in fields) {
      this.parts.near.replaceChildren(); // they were near to another picture
      this.refetch();
    }
  }

  // --- the grid -----------------------------------------------------------------------------------

  async grid() {
    const { parts: p, state: s, words } = this;
    p.psi.textContent = s.truncation.toFixed(2);
    p.grid.classList.add("busy");
    try {
      const asked = { seed: s.seed, label: s.label };
      const sheet = await Sheet.of(await this.socket.ask("grid", this.asked({ ...asked, n: s.n })));
      if (this.closed) return;
      while (p.grid.children.length > sheet.n) p.grid.lastChild.remove();
      while (p.grid.children.length < sheet.n) {
        const index = p.grid.children.length;
        p.grid.append(el("button", { onclick: () => this.choose(index) }, el("canvas")));
      }
      this.shown = asked;
      this.mark();
      [...p.grid.children].forEach((button, i) => sheet.paint(button.firstChild, i));
      p.told.textContent = words("explore.grid", { run: s.run });
      p.grid.dataset.drawn = String(Number(p.grid.dataset.drawn || 0) + 1);
    } finally {
      p.grid.classList.remove("busy");
    }
  }

  named({ seed, index, label }) {
    const { classes } = this.facts, { words } = this;
    if (!classes) return words("explore.sample", { seed, index });
    return words("explore.sample.class", { seed, index, label: classes[label ?? index % classes.length] });
  }

  mark() {
    [...this.parts.grid.children].forEach((button, index) => {
      const one = { ...this.shown, index };
      button.setAttribute("aria-pressed", String(this.state.kept.some((each) => same(each, one))));
      button.setAttribute("aria-label", this.words("explore.keep", { sample: this.named(one) }));
    });
  }

  choose(index) {
    const one = { seed: this.shown.seed, index, label: this.shown.label }, { kept } = this.state;
    if (kept.some((each) => same(each, one))) this.state.kept = kept.filter((each) => !same(each, one));
    else if (kept.length < KEPT) this.state.kept = [...kept, one];
    this.chosen = Math.max(this.state.kept.length - 1, 0);
    this.afterKept();
  }

  drop(i) {
    this.state.kept = this.state.kept.filter((_, k) => k !== i);
    this.chosen = Math.min(this.chosen, Math.max(this.state.kept.length - 1, 0));
    this.afterKept();
  }

  afterKept() {
    this.parts.near.replaceChildren();
    this.keep();
    if (this.shown) this.mark();
    this.refetch();
  }

  // --- what is kept -------------------------------------------------------------------------------

  async keptFaces() {
    const { parts: p, state: s, words } = this, samples = [...s.kept];
    p.oneCard.hidden = !samples.length;
    p.walkCard.hidden = samples.length < 2;
    if (!samples.length) {
      this.stop();
      p.kept.replaceChildren(el("p", { class: "quiet small" }, words("explore.kept.none")));
      return;
    }
    const sheet = (this.faces = await Sheet.of(await this.socket.ask("one", this.asked({ samples }))));
    if (this.closed || samples.length !== s.kept.length) return;
    p.kept.replaceChildren(...samples.map((each, i) => {
      const name = this.named(each);
      const face = el("button", { class: "face", "aria-current": String(i === this.chosen), "aria-label": words("explore.look", { sample: name }), title: name, onclick: () => this.lookAt(i) }, sheet.paint(el("canvas"), i));
      return el("div", {}, face, el("button", { class: "drop", "aria-label": words("explore.drop", { sample: name }), onclick: () => this.drop(i) }, "×"));
    }));
    this.lookAt(Math.min(this.chosen, samples.length - 1), false);
    if (samples.length > 1) this.rewalk();
  }

  lookAt(i, anew = true) {
    const { parts: p, words } = this, one = this.state.kept[i];
    this.chosen = i;
    [...p.kept.children].forEach((each, k) => each.firstChild.setAttribute("aria-current", String(k === i)));
    const near = (by) => el("button", { "data-near": by, onclick: () => this.guarded(() => this.nearest(i, by)) }, words(`explore.nearest.${by}`));
    const canvas = this.faces.paint(el("canvas", { role: "img", "aria-label": this.named(one) }), i);
    const features = this.facts.classes ? near("features") : null;
    p.one.replaceChildren(el("div", { class: "big" }, canvas), el("p", { class: "small" }, this.named(one)), el("div", { class: "pair" }, el("button", { onclick: () => this.guarded(() => this.download(i)) }, words("explore.download"))),
      el("h3", {}, words("explore.nearest")), el("div", { class: "pair" }, near("pixels"), features));
    if (anew) p.near.replaceChildren();
  }

  async nearest(i, by) {
    const { parts: p, words, show } = this;
    p.near.replaceChildren(el("p", { class: "quiet small" }, words(by === "features" ? "explore.nearest.fitting" : "explore.nearest.looking")));
    try {
      const told = await this.socket.ask("nearest", this.asked({ samples: [this.state.kept[i]], by: this.state.by, near: by, k: 6 }));
      const sheet = await Sheet.of(told);
      if (this.closed || this.chosen !== i) return;
      const told_of = words("explore.nearest.told", { searched: show.whole(told.searched), by: words(`explore.nearest.${by}`) }) + (told.searched < told.count ? words("explore.nearest.some", { count: show.whole(told.count) }) : "");
      const items = told.rows.map((row, k) => {
        const name = words("explore.nearest.one", { row: show.whole(row), distance: show.number(told.distances[k]) }) + (told.labels ? words("explore.nearest.label", { label: told.labels[k] }) : "");
        return el("li", {}, sheet.paint(el("canvas", { role: "img", "aria-label": name }), k), `${show.number(told.distances[k])}${told.labels ? ` · ${told.labels[k]}` : ""}`);
      });
      p.near.replaceChildren(el("p", { class: "quiet small" }, told_of), el("ul", { class: "near" }, items));
    } catch (error) {
      p.near.replaceChildren();
      throw error;
    }
  }

  async download(i) {
    const told = await this.socket.ask("save", this.asked({ samples: [this.state.kept[i]] }));
    const raw = Uint8Array.from(atob(told.png), (sign) => sign.charCodeAt(0));
    const href = URL.createObjectURL(new Blob([raw], { type: "image/png" }));
    el("a", { href, download: told.file }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
    this.parts.told.textContent = this.words("explore.downloaded", { file: told.file });
  }

  // --- the walk -----------------------------------------------------------------------------------

  async walk() {
    const samples = [...this.state.kept], w = this.film;
    if (samples.length < 2) return;
    w.sheet = await Sheet.of(await this.socket.ask("walk", this.asked({ samples, steps: 24 })));
    if (this.closed) return;
    w.place.max = w.sheet.n - 1;
    this.frame(Math.min(Number(w.place.value), w.sheet.n - 1));
  }

  frame(at) {
    const w = this.film, share = new Intl.NumberFormat(this.words.language, { style: "percent" }).format(at / w.sheet.n);
    w.place.value = at;
    w.place.setAttribute("aria-valuetext", this.words("explore.walk.at", { share }));
    w.sheet.paint(w.canvas, at);
    w.canvas.setAttribute("aria-label", this.words("explore.walk.picture", { share }));
  }

  go() {
    const w = this.film;
    if (!w.sheet) return;
    w.play.textContent = this.words("explore.walk.pause");
    w.timer = setInterval(() => this.frame((Number(w.place.value) + 1) % w.sheet.n), FRAME);
  }

  stop() {
    const w = this.film;
    clearInterval(w.timer);
    w.timer = null;
    w.play.textContent = this.words("explore.walk.play");
  }
}

function whole(text) {
  const value = Math.floor(Number(text));
  return Number.isFinite(value) && value >= 0 ? value : 0;
}

function same(a, b) {
  return a.seed === b.seed && a.index === b.index && (a.label ?? null) === (b.label ?? null);
}

function sample(text) {
  const [seed, index, label] = text.split(".");
  const one = { seed: whole(seed), index: whole(index), label: label ? whole(label) : null };
  return /^\d+\.\d+\.\d*$/.test(text) ? one : null;
}

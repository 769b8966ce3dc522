// The Runs room: the list, what the chosen runs look like, and a form to begin another.
import { copy, el, figures, latest, style } from "/page/rooms/dom.js";
import { charts } from "/page/rooms/curves.js";
import { form } from "/page/rooms/starting.js";

const COLOURS = ["--one", "--two", "--three", "--four", "--fake", "--real"];
const DASHES = ["", "6 3", "2 3"];
const TOGETHER = 12, OFTEN = 1000, SELDOM = 3000;
const BAD = ["failed", "damaged", "stopped", "failed to start"];

export async function open(root, socket, words, place, complain = console.error) {
  await style("runs");
  const room = new Room(root, socket, words, place, complain);
  await room.begin();
  return room;
}

class Room {
  constructor(root, socket, words, place, complain) {
    Object.assign(this, { root, socket, words, place, complain, show: figures(words.language) });
    const kept = new URLSearchParams(place.text);
    this.shown = (kept.get("show") || "").split(",").filter(Boolean).slice(0, TOGETHER);
    this.unit = kept.get("x") === "seconds" ? "seconds" : "images";
    this.log = kept.get("log") === "1";
    this.rows = [];
    this.held = new Map(); // name → what is known of a run: rows of its table, scores, warnings, snapshots
    this.details = new Map();
    this.pictures = new Map();
    this.clock = null; // null is the newest snapshot
    this.said = new Map();
    this.refresh = latest(() => this.fetch());
  }

  async begin() {
    const { words } = this;
    this.live = el("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.body = el("tbody");
    const head = ["show", "run", "recipe", "data", "progress", "status", "best", "do"].map((each) => el("th", { scope: "col" }, words(`runs.col.${each}`)));
    this.empty = el("p", { class: "quiet" });
    this.form = form(this);
    this.list = el("section", { class: "card", "aria-label": words("runs.list") },
      el("div", { class: "list", tabindex: "0", role: "group", "aria-label": words("runs.list") }, el("table", {}, el("thead", {}, el("tr", {}, head)), this.body)), this.empty);
    const fresh = el("button", { class: "main", "aria-expanded": "false", onclick: () => this.form.toggle(fresh) }, words("runs.new"));
    this.about = el("section", { "aria-live": "off" });
    this.root.append(el("div", { class: "bar" }, el("h1", {}, words("runs.title")), fresh), this.live, this.form.root, this.list, this.about);
    this.parts = this.build();
    this.socket.on("back", () => this.refresh());
    this.seen = () => !document.hidden && this.refresh();
    document.addEventListener("visibilitychange", this.seen);
    await this.refresh();
    this.tick();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearInterval(this.film);
    document.removeEventListener("visibilitychange", this.seen);
    this.charts.close();
  }

  tick() {
    if (this.closed) return;
    const live = this.rows.some((row) => ["running", "starting", "reading"].includes(row.status));
    this.timer = setTimeout(async () => {
      if (!document.hidden) await this.refresh();
      this.tick();
    }, live ? OFTEN : SELDOM);
  }

  keep() {
    const text = new URLSearchParams();
    if (this.shown.length) text.set("show", this.shown.join(","));
    if (this.unit !== "images") text.set("x", this.unit);
    if (this.log) text.set("log", "1");
    this.place.keep(text.toString());
  }

  async fetch() {
    try {
      const told = await this.socket.ask("list");
      if (this.closed) return;
      this.folder = told.folder;
      this.rows = told.runs;
      this.announce();
      const known = new Set(this.rows.filter((row) => !row.unborn && row.status !== "damaged").map((row) => row.run));
      if (!this.chosen && !this.shown.length && known.size) this.shown = [this.rows.find((row) => known.has(row.run)).run];
      this.chosen = true;
      const wanted = this.shown.filter((name) => known.has(name));
      if (wanted.length) await this.look(wanted);
      this.draw();
    } catch (error) {
      if (!error.lost) this.complain(error); // a lost connection is said by the page itself
    }
  }

  async look(names) {
    const asked = names.map((run) => {
      const held = this.held.get(run);
      return held ? { run, epoch: held.epoch, have: held.images.length } : { run };
    });
    const told = await this.socket.ask("look", { runs: asked });
    this.alike = told.alike;
    for (const each of told.runs) this.take(each);
  }

  take(told) {
    const { table } = told;
    let held = this.held.get(told.run);
    if (!held || held.epoch !== table.epoch || table.from === 0) held = { images: [], seconds: [], columns: {} };
    const join = (old, part) => [...old.slice(0, table.from), ...part];
    held.images = join(held.images, table.images);
    held.seconds = join(held.seconds, table.seconds);
    for (const [name, column] of Object.entries(table.columns)) {
      const before = held.columns[name] || {};
      const padded = (list) => Array.from({ length: table.from }, (_, i) => (list && list[i] !== undefined ? list[i] : null));
      held.columns[name] = Object.fromEntries(Object.entries(column).map(([key, part]) => [key, [...padded(before[key]), ...part]]));
    }
    Object.assign(held, { epoch: table.epoch, scores: told.scores, warnings: told.warnings, warned: told.warned, snapshots: told.snapshots });
    this.held.set(told.run, held);
  }

  announce() {
    for (const row of this.rows) {
      const before = this.said.get(row.run);
      if (before && before !== row.status) this.live.textContent = this.words("runs.now", { run: row.title, status: this.words(`runs.status.${row.status}`) });
      this.said.set(row.run, row.status);
    }
  }

  look_of(name) {
    const i = Math.max(this.shown.indexOf(name), 0);
    return { colour: `var(${COLOURS[i % COLOURS.length]})`, dash: DASHES[Math.floor(i / COLOURS.length) % DASHES.length] };
  }

  // --- the list -----------------------------------------------------------------------------------

  draw() {
    this.empty.hidden = Boolean(this.rows.length);
    this.list.firstChild.hidden = !this.rows.length;
    this.empty.textContent = this.rows.length ? "" : this.words("runs.none", { folder: this.folder });
    const there = new Map([...this.body.children].map((line) => [line.dataset.run, line]));
    const lines = this.rows.map((row) => {
      const line = there.get(row.run) || el("tr", { "data-run": row.run });
      const text = JSON.stringify([row, this.shown.indexOf(row.run), this.stopping === row.run]);
      if (line.told !== text) {
        // Focus stays where it was, though the cells are new.
        const focus = line.contains(document.activeElement) ? document.activeElement.dataset.act : null;
        line.told = text;
        line.className = this.shown.includes(row.run) ? "shown" : "";
        line.replaceChildren(...this.cells(row));
        if (focus) line.querySelector(`[data-act="${focus}"]`)?.focus();
      }
      return line;
    });
    if (lines.length !== this.body.children.length || lines.some((line, i) => this.body.children[i] !== line)) {
      const active = document.activeElement;
      this.body.replaceChildren(...lines);
      if (active && this.body.contains(active)) active.focus();
    }
    this.fill();
  }

  cells(row) {
    const { words, show } = this;
    const shown = this.shown.includes(row.run), able = !row.unborn && row.status !== "damaged";
    const look = this.look_of(row.run);
    const box = able ? el("input", { type: "checkbox", checked: shown, "data-act": "overlay", "aria-label": words("runs.overlay", { run: row.title }), onchange: () => this.overlay(row.run) }) : "";
    const mark = el("span", { "aria-hidden": "true", style: shown && able ? `color:${look.colour}` : "visibility:hidden" }, "■ ");
    const name = able ? el("button", { class: "name", "data-act": "open", "aria-label": words("runs.open", { run: row.title }), onclick: () => this.only(row.run) }, row.title) : row.title;
    const done = row.total ? Math.min(row.images / row.total, 1) : 0;
    const bar = row.total ? [el("progress", { max: 1, value: done, "aria-label": words("runs.col.progress") }), ` ${Math.round(done * 100)}% `, el("span", { class: "quiet small" }, `${show.short(row.images)} / ${show.short(row.total)}`)] : "";
    const more = row.left ? ` · ${words("runs.left", { time: show.time(row.left) })}` : "";
    const status = [el("span", { class: `status ${row.status} ${BAD.includes(row.status) ? "bad" : ""}` }, words(`runs.status.${row.status}`)), el("span", { class: "quiet small" }, more)];
    if (row.warned) status.push(el("span", { class: "warn small" }, ` ⚠ ${words("runs.warned", { n: row.warned })}`));
    if (row.said || row.told) status.push(el("div", { class: "warn small" }, (row.said || row.told).split("\n").slice(-3).join(" ")));
    const best = row.best ? `${row.best.name} ${show.number(row.best.value)}` : "";
    const put = (what, ...inner) => el("td", { class: what }, inner);
    return [put("", box), put("what", el("span", { class: "named" }, mark, name)), put("", row.recipe || ""), put("", row.data || ""), put("", bar), put("what", status), put("", best), put("", this.acts(row))];
  }

  acts(row) {
    const { words } = this;
    const act = (what, label, hint, work) => el("button", { "data-act": what, "aria-label": hint, title: hint, onclick: work }, label);
    const found = [];
    if (row.stop) {
      const asked = this.stopping === row.run;
      const button = act("stop", words(asked ? "runs.stopping" : "runs.stop"), words("runs.stop.one", { run: row.title }), () => this.order("stop", row.run));
      button.disabled = asked;
      found.push(button);
    }
    if (row.resume) found.push(act("resume", words("runs.resume"), words("runs.resume.one", { run: row.title }), () => this.order("resume", row.run)));
    if (row.status === "failed to start") found.push(act("forget", words("runs.forget"), words("runs.forget"), () => this.order("forget", row.run)));
    return found;
  }

  async order(what, run) {
    try {
      if (what === "stop") this.stopping = run;
      this.draw();
      await this.socket.ask(what, { run });
    } catch (error) {
      this.complain(error);
    } finally {
      if (what === "stop") setTimeout(() => ((this.stopping = null), this.draw()), 4000);
      this.refresh();
    }
  }

  only(run) {
    this.shown = [run];
    this.clock = null;
    this.choose();
  }

  overlay(run) {
    if (this.shown.includes(run)) this.shown = this.shown.filter((each) => each !== run);
    else if (this.shown.length < TOGETHER) this.shown = [...this.shown, run];
    this.choose();
  }

  choose() {
    this.keep();
    this.draw();
    this.refresh();
  }

  // --- the chosen runs ----------------------------------------------------------------------------

  build() {
    const { words } = this;
    this.charts = charts(this);
    const p = {
      facts: el("div", { class: "facts" }), warnings: el("ul", { class: "warnings" }), grids: el("div", { class: "grids" }),
      caption: el("output", { class: "quiet small" }), more: el("div"),
      slider: el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": words("runs.clock"), oninput: () => this.scrub() }),
      newest: el("button", { onclick: () => ((this.clock = null), this.fill()) }, words("runs.newest")),
      play: el("button", { onclick: () => this.play() }, words("runs.play")),
    };
    p.scrub = el("div", { class: "scrub" }, p.play, p.slider, p.newest, p.caption);
    p.troubles = el("section", { class: "card" }, el("h2", {}, words("runs.warnings")), p.warnings);
    p.samples = el("section", { class: "card" }, el("h2", {}, words("runs.samples")), p.grids, p.scrub);
    this.about.append(...[p.facts, p.troubles, p.samples, this.charts.root, p.more].map((each) => (each.style.marginBottom = ".8rem", each)));
    return p;
  }

  there() {
    return this.shown.filter((name) => this.held.has(name) && this.rows.some((row) => row.run === name));
  }

  fill() {
    const names = this.there(), p = this.parts;
    this.about.hidden = !names.length;
    if (!names.length) return;
    this.headline(names);
    const warned = names.flatMap((name) => this.held.get(name).warnings.map(([images, text]) => [name, images, text]));
    p.troubles.hidden = !warned.length;
    const told = JSON.stringify(warned);
    if (p.warnings.told !== told) {
      p.warnings.told = told;
      const line = ([name, images, text]) => (names.length > 1 ? `${this.title(name)}: ` : "") + this.words("runs.at", { images: this.show.whole(images), text });
      p.warnings.replaceChildren(...warned.map((each) => el("li", {}, line(each))));
    }
    this.clocks(names);
    this.charts.draw(names);
    this.tell(names[0]);
  }

  title(name) {
    return this.rows.find((row) => row.run === name)?.title || name;
  }

  headline(names) {
    const { words, show } = this;
    const facts = names.map((name) => {
      const row = this.rows.find((each) => each.run === name);
      const parts = [`${show.whole(row.images)} / ${show.whole(row.total)} ${words("runs.x.images")}`, show.time(row.seconds)];
      if (row.rate) parts.push(words("runs.rate", { rate: show.number(row.rate) }));
      const explore = row.models && row.modality === "image" && !row.use ? el("a", { href: `#explore?${new URLSearchParams({ run: name })}` }, words("runs.explore")) : null;
      return el("div", {}, el("span", { "aria-hidden": "true", style: `color:${this.look_of(name).colour}` }, "■ "), el("b", {}, row.title), ` ${parts.join(" · ")} `, explore);
    });
    this.parts.facts.replaceChildren(...facts);
  }

  // The snapshots of all chosen runs on one clock; of each run the last one not later is shown.
  clocks(names) {
    const p = this.parts, all = [...new Set(names.flatMap((name) => this.held.get(name).snapshots))].sort((a, b) => a - b);
    this.all = all;
    p.samples.hidden = names.every((name) => this.rows.find((row) => row.run === name)?.modality === "table");
    p.scrub.hidden = all.length < 2;
    p.slider.max = Math.max(all.length - 1, 0);
    const at = this.clock === null ? all.length - 1 : all.indexOf(all.filter((each) => each <= this.clock).pop() ?? all[0]);
    p.slider.value = at;
    const clock = all[at];
    const text = clock === undefined ? "" : this.words("runs.after", { images: this.show.whole(clock) });
    p.caption.textContent = text;
    p.slider.setAttribute("aria-valuetext", text);
    const figures = names.map((name) => this.grid(name, clock));
    if (figures.some((each, i) => p.grids.children[i] !== each) || p.grids.children.length !== figures.length) p.grids.replaceChildren(...figures);
  }

  grid(name, clock) {
    const { words, show } = this;
    const mine = this.held.get(name).snapshots.filter((each) => clock === undefined || each <= clock).pop();
    this.frames = this.frames || new Map();
    let figure = this.frames.get(name);
    if (!figure) {
      figure = el("figure", {}, el("img", { hidden: true, alt: "" }), el("figcaption", { class: "small quiet" }, words("runs.samples.none")));
      this.frames.set(name, figure);
    }
    if (mine !== undefined && figure.at !== mine) {
      figure.at = mine;
      this.picture(name, mine).then((uri) => {
        if (figure.at !== mine || !uri) return;
        const [img, caption] = figure.children;
        img.src = uri;
        img.hidden = false;
        img.alt = words("runs.samples.alt", { run: this.title(name), images: show.whole(mine) });
        caption.textContent = `${this.title(name)} · ${words("runs.after", { images: show.whole(mine) })}`;
      });
    }
    return figure;
  }

  async picture(run, images) {
    const key = `${run} ${images}`;
    if (!this.pictures.has(key)) {
      const asked = this.socket.ask("picture", { run, ...(images === null ? {} : { images }) }).then((told) => told.picture).catch((error) => (this.pictures.delete(key), error.lost || this.complain(error), null));
      this.pictures.set(key, asked);
      // Of many, those that were asked for first are forgotten.
      if (this.pictures.size > 120) this.pictures.delete(this.pictures.keys().next().value);
    }
    return this.pictures.get(key);
  }

  scrub() {
    const at = Number(this.parts.slider.value);
    this.clock = at === this.all.length - 1 ? null : this.all[at];
    this.clocks(this.there());
  }

  play() {
    const { words } = this, p = this.parts;
    if (this.film) {
      clearInterval(this.film);
      this.film = null;
      p.play.textContent = words("runs.play");
      return;
    }
    p.play.textContent = words("runs.pause");
    if (Number(p.slider.value) === this.all.length - 1) p.slider.value = 0;
    else p.slider.value = Number(p.slider.value) + 1;
    this.scrub();
    this.film = setInterval(() => {
      if (Number(p.slider.value) >= this.all.length - 1) return this.play();
      p.slider.value = Number(p.slider.value) + 1;
      return this.scrub();
    }, 500);
  }

  // --- what is told of the first of them ----------------------------------------------------------

  async tell(name) {
    const row = this.rows.find((each) => each.run === name);
    const key = JSON.stringify([name, row.status, row.written && Math.floor(row.written / 10)]);
    if (this.told === key) return;
    this.told = key;
    try {
      const details = await this.socket.ask("details", { run: name });
      if (!this.closed && this.told === key) this.more(details);
    } catch (error) {
      if (!error.lost) this.complain(error);
    }
  }

  more(told) {
    const { words } = this, host = this.parts.more;
    const text = JSON.stringify(told);
    if (host.told === text) return;
    host.told = text;
    const openNow = new Set([...host.querySelectorAll("details[open]")].map((each) => each.dataset.part));
    const part = (name, title, ...inner) => el("details", { "data-part": name, open: openNow.has(name), class: "card", style: "margin-bottom:.5rem" }, el("summary", {}, title), inner);
    const cards = Object.entries(told.cards).map(([score, card]) => part(`card ${score}`, words("runs.card.of", { score }), this.table(card)));
    const parts = [
      told.evaluations.length ? part("scores", words("runs.evaluations"), told.evaluations.map((each) => this.evaluation(each))) : null,
      ...cards,
      told.neighbours ? part("near", words("runs.neighbours"), this.neighbours(told.run)) : null,
      part("next", words("runs.next"), this.command(told.commands.join("\n"))),
      told.notes.length ? part("notes", words("runs.notes"), el("ul", {}, told.notes.map((each) => el("li", {}, each)))) : null,
      part("recipe", words("runs.recipe"), this.command(told.recipe)),
      part("facts", words("runs.facts"), Object.entries(told.facts).filter(([, value]) => value).map(([name, value]) => [el("h3", {}, name), this.table(typeof value === "object" ? value : { [name]: value })])),
    ];
    host.replaceChildren(el("h2", {}, this.title(told.run)), ...parts.filter(Boolean));
  }

  evaluation(each) {
    const { words, show } = this;
    const rows = each.scores.map((score) =>
      el("tr", {}, el("th", { scope: "row" }, score.name), el("td", {}, `${show.number(score.value)}${score.spread === null ? "" : ` ± ${show.number(score.spread)}`}`), el("td", { class: "quiet small" }, words(`runs.better.${score.better}`)),
        el("td", {}, el("details", {}, el("summary", {}, words("runs.card")), this.table(score.card)))));
    return [each.images === null ? "" : el("p", { class: "quiet small" }, words("runs.evaluations.at", { images: show.whole(each.images) })), el("table", {}, el("tbody", {}, rows))];
  }

  neighbours(run) {
    const img = el("img", { alt: this.words("runs.neighbours"), style: "max-width:100%" });
    this.picture(run, null).then((uri) => uri && (img.src = uri));
    return img;
  }

  table(value) {
    const plain = (each) => (each !== null && typeof each === "object" ? JSON.stringify(each) : String(each));
    return el("dl", {}, Object.entries(value).filter(([, each]) => each !== null && each !== "").map(([name, each]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, plain(each))]));
  }

  command(text) {
    const button = el("button", { onclick: async () => {
      await copy(text);
      button.textContent = this.words("runs.copied");
      setTimeout(() => (button.textContent = this.words("runs.copy")), 1500);
    } }, this.words("runs.copy"));
    return el("div", { class: "command" }, el("pre", { tabindex: "0" }, text), button);
  }
}

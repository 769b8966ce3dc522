// The Lab: two networks in the plane, trained live by the package's own trainer at the other end of the line.
import { Chart, Series } from "/page/lab/charts.js";
import { copies, gallery } from "/page/lab/dialogs.js";
import { el, short } from "/page/lab/dom.js";
import { Form } from "/page/lab/form.js";
import { drawNetwork } from "/page/lab/network.js";
import { Picture } from "/page/lab/picture.js";
import { read, write } from "/page/lab/state.js";
import { Tour } from "/page/lab/tour.js";

const SPEEDS = [["slow", -1], ["2", 2], ["10", 10], ["60", 60], ["250", 250], ["max", 0]];
const SHOWN = ["real", "fakes", "surface", "warp", "arrows", "field", "network"];
const USUAL = ["real", "fakes", "surface"];
const COLOURS = { real: "--real", fakes: "--fake" };
const SUBSTEP = 1100; // milliseconds of a substep in slow motion

export async function open(root, socket, words, place, complain) {
  if (!document.querySelector('link[href="/page/lab/lab.css"]')) {
    const sheet = el("link", { rel: "stylesheet", href: "/page/lab/lab.css" });
    await new Promise((done) => ((sheet.onload = sheet.onerror = done), document.head.append(sheet)));
  }
  const lab = new Lab(root, socket, words, place, complain);
  await lab.begin();
  return lab;
}

class Lab {
  constructor(root, socket, words, place, complain) {
    Object.assign(this, { root, socket, words, place, complain });
    this.shown = new Set(USUAL);
    this.speed = 0;
    this.side = 0;
    this.frame = null;
    this.views = [];
    this.series = [];
    this.worlds = 0;
    this.drawn = null;
    this.kept = null; // acts of each side, as the server last told them
    this.turn = 0; // of slow motion: raised to stop it
    this.keys = (event) => this.key(event);
    this.resized = () => this.paint();
  }

  async begin() {
    const { words, socket } = this;
    const hello = await socket.ask("hello");
    Object.assign(this, { choices: hello.choices, usual: hello.settings, exhibits: hello.gallery });
    this.build();
    socket.on("world", (fields) => this.world(fields));
    socket.on("frame", (fields) => {
      const world = this.worlds;
      requestAnimationFrame(() => (world === this.worlds ? this.heard(fields) : this.socket.tell("ack")));
    });
    socket.on("file", (fields) => this.file(fields));
    socket.on("refused", (fields) => (this.stopSlow(), this.complain(fields)));
    socket.on("back", () => this.again());
    addEventListener("keydown", this.keys);
    addEventListener("resize", this.resized);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.resized);
    const state = read(this.place.text);
    if (state) {
      this.shown = new Set((state.shown || USUAL).filter((part) => SHOWN.includes(part)));
      this.drawn = state.drawn || null;
    }
    this.ticks();
    await this.want();
    const sides = state ? state.sides.map((side) => side.begun) : [this.usual];
    try {
      await this.start(sides, state ? state.sides : null);
    } catch (problem) {
      this.complain(problem);
      await this.start([this.usual]);
    }
    this.keeping = setInterval(() => this.frame && this.frame.running && this.keep(), 2500);
    if (!localStorage.getItem("toured") && !state) this.status.textContent = words("lab.welcome");
  }

  close() {
    this.turn++;
    clearInterval(this.keeping);
    removeEventListener("keydown", this.keys);
    removeEventListener("resize", this.resized);
    this.dark.removeEventListener("change", this.resized);
    this.socket.tell("pause");
  }

  // --- the room ----------------------------------------------------------------------------------

  build() {
    const { words } = this;
    const button = (key, act, given = {}) => el("button", { type: "button", title: words(`lab.why.${key}`), "data-do": key, onclick: act, ...given }, words(`lab.${key}`));
    this.tour = new Tour(words, this);
    this.status = el("p", { class: "small quiet", role: "status", "aria-live": "polite" });
    const top = el("div", { class: "top" }, el("h1", {}, words("lab.title")),
      button("tour", () => (localStorage.setItem("toured", "1"), this.tour.go(0)), { class: "main" }),
      button("gallery", () => gallery(words, this.exhibits, (each, cured) => this.exhibit(each, cured))),
      button("duel", () => this.duel()), button("copy", () => this.copy()), button("link", () => this.share()), this.status);

    this.data = el("div", { class: "data", role: "group", "aria-label": words("lab.data") },
      ...this.choices.data.map((name) => el("button", { type: "button", "data-set": name, onclick: () => this.setData(name) }, words(`lab.data.${name}`))));
    this.tabs = el("div", { class: "tabs", hidden: true }, ...["A", "B"].map((name, who) => el("button", { type: "button", onclick: () => ((this.side = who), this.forms()) }, name)));
    this.form = new Form(words, this.choices, (settings) => this.change(settings));
    const seed = el("input", { type: "number", min: "0", max: "2147483647", step: "1", id: "set-seed" });
    seed.onchange = () => seed.reportValidity() && this.restart({ seed: Number(seed.value) });
    this.seed = seed;
    const side = el("div", { class: "side" },
      el("section", { class: "card" }, el("h2", {}, words("lab.data")), this.data,
        el("label", { class: "line", for: "set-seed" }, words("lab.seed"), seed)),
      el("section", { class: "card" }, el("h2", {}, words("lab.settings")), this.tabs, this.form.root));

    this.pictures = el("div", { class: "pictures" });
    this.parts = el("div", { class: "parts", role: "group", "aria-label": words("lab.shown") });
    this.runButton = button("run", () => this.run(), { class: "main" });
    this.speeds = el("select", { "aria-label": words("lab.speed"), "data-do": "speed" }, ...SPEEDS.map(([name, value]) => el("option", { value: String(value) }, words(`lab.speed.${name}`))));
    this.speeds.value = "0";
    this.speeds.onchange = () => this.setSpeed(Number(this.speeds.value));
    this.caption = el("p", { class: "caption", "aria-live": "polite" });
    this.scrub = el("input", { type: "range", min: "0", max: "0", step: "1", value: "0", "aria-label": words("lab.time"), "data-do": "scrub" });
    this.scrub.oninput = () => (this.stopSlow(), this.seek(Number(this.scrub.value)));
    this.when = el("output", { "data-at": "0" });
    this.branches = el("div", { class: "bar branches" });
    const transport = el("section", { class: "card transport" },
      el("div", { class: "bar" }, this.runButton, button("stepD", () => this.step("discriminator")), button("stepG", () => this.step("generator")),
        button("stepBoth", () => this.step("round")), button("again", () => this.restart({})), button("reseed", () => this.restart({ seed: Math.floor(Math.random() * 1e6) })),
        el("label", { class: "bar small" }, words("lab.speed"), this.speeds)),
      this.caption,
      el("div", { class: "scrub" }, el("span", {}, words("lab.time")), this.scrub, this.when, button("branch", () => this.branch())), this.branches);
    const middle = el("div", { class: "middle" }, transport, el("section", { class: "card" }, this.pictures, this.parts));

    this.charts = [
      new Chart(words("lab.chart.loss"), [{ of: "points", column: 1, colour: "--one", label: "D" }, { of: "points", column: 2, colour: "--two", label: "G" }]),
      new Chart(words("lab.chart.gradient"), [{ of: "points", column: 3, colour: "--one", label: "D" }, { of: "points", column: 4, colour: "--two", label: "G" }], { log: true }),
      new Chart(words("lab.chart.w2"), [{ of: "scores", column: 3, colour: "--three", label: "" }], { zero: true }),
      new Chart(words("lab.chart.modes"), [{ of: "scores", column: 1, colour: "--four", label: "" }], { zero: true }),
      new Chart(words("lab.chart.quality"), [{ of: "scores", column: 2, colour: "--four", label: "" }], { zero: true, top: 1 }),
    ];
    this.verdict = el("div", { class: "verdict", role: "status", "aria-live": "polite" });
    this.net = el("canvas", { class: "network", role: "img", "aria-label": words("lab.network.label") });
    this.netCard = el("section", { class: "card", hidden: true }, el("h2", {}, words("lab.network")), this.net);
    const watching = el("div", { class: "watching" },
      el("section", { class: "card" }, el("h2", {}, words("lab.watch")), this.verdict),
      el("section", { class: "card charts" }, el("h2", {}, words("lab.charts")), ...this.charts.map((chart) => chart.root)), this.netCard);
    this.root.append(top, this.tour.root, side, middle, watching);
  }

  ticks() {
    this.parts.replaceChildren(...SHOWN.map((part) => {
      const box = el("input", { type: "checkbox", "data-part": part });
      box.checked = this.shown.has(part);
      box.onchange = () => (box.checked ? this.shown.add(part) : this.shown.delete(part), this.want(), this.keep());
      const key = COLOURS[part] ? el("i", { class: part === "fakes" ? "square" : "", style: `background: var(${COLOURS[part]})` }) : null;
      return el("label", { title: this.words(`lab.why.part.${part}`) }, box, key, this.words(`lab.part.${part}`));
    }));
  }

  planes(count) {
    this.pictures.className = count > 1 ? "pictures two" : "pictures";
    this.views = [];
    this.pictures.replaceChildren(...Array.from({ length: count }, (_, who) => {
      const canvas = el("canvas", { class: "plane", role: "img", "data-who": String(who) });
      const caption = el("figcaption", {});
      this.views.push({ picture: new Picture(canvas), caption, canvas });
      this.drawable(canvas, who);
      return el("figure", {}, canvas, caption);
    }));
  }

  // --- what the server tells ------------------------------------------------------------------------

  world({ arrays, half, facts }) {
    this.worlds++;
    this.frame = null;
    this.drawing = false;
    this.series = facts.map(() => ({ points: new Series(), scores: new Series() }));
    if (this.views.length !== facts.length || this.views[0].picture.strokes) this.planes(facts.length);
    for (const { picture } of this.views) Object.assign(picture, { half, real: arrays.real });
    this.facts = facts;
    this.charts[2].floor = facts[0].floor;
    this.charts[3].top = facts[0].modes;
    for (const chart of this.charts.slice(3)) chart.root.hidden = !facts[0].modes;
  }

  heard(fields) {
    if (this.drawing) return void this.socket.tell("ack");
    const still = !fields.running && !fields.seeking;
    if (still && (!this.kept || this.kept[0].at !== fields.at)) this.settle();
    this.frame = fields;
    fields.sides.forEach((side, who) => {
      if (!this.series[who]) return;
      this.series[who].points.add(side.points);
      this.series[who].scores.add(side.scores);
    });
    this.paint();
    this.socket.tell("ack");
  }

  paint() {
    const { frame, words } = this;
    if (!frame || !this.root.isConnected) return;
    frame.sides.forEach((side, who) => {
      const view = this.views[who], arrays = {};
      if (!view) return;
      for (const [name, array] of Object.entries(frame.arrays)) if (name.startsWith(`${who}.`)) arrays[name.slice(2)] = array;
      view.picture.draw(arrays, this.shown);
      const text = this.summary(side, who);
      if (view.caption.textContent !== text) view.caption.textContent = text;
      view.canvas.setAttribute("aria-label", `${words("lab.picture")} ${text}`);
      if (who === this.side && this.shown.has("network")) drawNetwork(this.net, arrays, [words("lab.generator"), words("lab.discriminator")]);
    });
    for (const chart of this.charts) if (!chart.root.hidden) chart.draw(this.series, frame.at, frame.end);
    const rate = frame.running && frame.rate ? ` · ${words("lab.rate", { rate: Math.round(frame.rate) })}` : "";
    this.when.textContent = `${frame.at.toLocaleString("en")} / ${frame.end.toLocaleString("en")}${rate}`;
    this.when.dataset.at = frame.at;
    this.when.dataset.end = frame.end;
    this.when.dataset.busy = frame.running || frame.seeking ? "1" : "";
    this.scrub.max = String(frame.end);
    if (document.activeElement !== this.scrub || !frame.seeking) this.scrub.value = String(frame.at);
    const going = frame.running || this.slow;
    this.runButton.textContent = words(going ? "lab.pause" : "lab.run");
    this.runButton.setAttribute("aria-pressed", String(Boolean(going)));
    this.tell(frame);
    const key = JSON.stringify(frame.branches);
    if (key !== this.branchKey) {
      this.branchKey = key;
      this.branches.replaceChildren(...frame.branches.map((branch, i) =>
        el("button", { type: "button", "data-branch": String(i), onclick: () => this.follow(i) }, words("lab.branchOf", { at: branch.at, end: branch.end }))));
    }
  }

  summary(side, who) {
    const { words } = this, row = this.series[who] && this.series[who].scores.rows.findLast((each) => each[0] <= this.frame.at);
    const parts = [this.frame.sides.length > 1 ? `${"AB"[who]}: ` : "", words("lab.step", { step: side.rounds.toLocaleString("en") })];
    if (row && this.facts && this.facts[0].modes) parts.push(`, ${words("lab.found", { modes: short(row[1]), of: this.facts[0].modes, share: row[2] === null ? "–" : Math.round(100 * row[2]) })}`);
    if (row) parts.push(`, ${words("lab.distance", { w2: short(row[3]) })}`);
    return parts.join("");
  }

  tell(frame) {
    const { words } = this, early = frame.at < 12 * 64;
    const key = JSON.stringify([frame.sides.map((side) => side.troubles.map((each) => each.name)), early, frame.sides.length]);
    if (key === this.verdictKey) return;
    this.verdictKey = key;
    this.verdict.replaceChildren(...frame.sides.flatMap((side, who) => {
      const name = frame.sides.length > 1 ? `${"AB"[who]}: ` : "";
      if (!side.troubles.length) return [el("p", { class: early ? "quiet" : "fine" }, name + words(early ? "lab.watch.early" : "lab.watch.fine"))];
      // The first is the one to act on.
      const first = side.troubles[0], said = side.troubles.map((each) => words(`lab.watch.${each.name}`)).join(", ");
      const line = words.language === "en" ? `${first.line}.` : words(`lab.shows.${first.name}`);
      return [el("p", { class: "bad" }, `${name}${said}`), el("p", {}, line), el("p", { class: "small" }, words(`lab.helps.${first.name}`))];
    }));
  }

  // --- what one does --------------------------------------------------------------------------------

  async start(sides, lines = null) {
    this.stopSlow();
    this.sides = sides.map((side) => ({ ...side }));
    if (this.side >= sides.length) this.side = 0;
    const fields = { sides, drawn: this.drawn };
    if (lines) Object.assign(fields, { acts: lines.map((line) => line.acts || []), at: (lines[0] && lines[0].at) || 0 });
    if (sides[0].data === "drawn" && !this.drawn) return this.draw();
    await this.socket.ask("start", fields);
    if (lines) this.sides = lines.map((line, who) => lastOf(line, sides[who]));
    this.forms();
    await this.keep();
  }

  async again() {
    // The server is another now: what was done is done again there.
    const kept = this.kept;
    await this.want();
    await this.start(kept ? kept.map((side) => side.begun) : this.sides, kept).catch((problem) => this.complain(problem));
  }

  forms() {
    const settings = this.sides[this.side];
    this.form.show(settings);
    this.seed.value = String(settings.seed);
    this.tabs.hidden = this.sides.length < 2;
    [...this.tabs.children].forEach((tab, who) => tab.setAttribute("aria-pressed", String(who === this.side)));
    for (const button of this.data.children) button.setAttribute("aria-pressed", String(button.dataset.set === settings.data));
    this.root.querySelector('[data-do="duel"]').setAttribute("aria-pressed", String(this.sides.length > 1));
  }

  async change(settings) {
    const who = this.side, before = this.sides[who];
    this.sides[who] = settings;
    this.form.show(settings);
    try {
      if (!this.frame || this.frame.end === 0) await this.start(this.sides);
      else await this.socket.ask("change", { who, settings });
      await this.keep();
    } catch (problem) {
      this.sides[who] = before;
      this.forms();
      this.complain(problem);
    }
  }

  restart(over) {
    return this.start(this.sides.map((side) => ({ ...side, ...over }))).catch(this.complain);
  }

  setData(name) {
    if (name === "drawn") return this.draw();
    return this.restart({ data: name });
  }

  async run() {
    if (this.slow) return this.stopSlow();
    if (this.frame && this.frame.running) return this.pause();
    if (this.speed < 0) return this.slowly();
    return this.socket.ask("run", { speed: this.speed }).catch(this.complain);
  }

  async pause() {
    this.stopSlow();
    await this.socket.ask("pause").catch(this.complain);
    await this.keep();
  }

  async setSpeed(speed) {
    this.speed = speed;
    const running = this.slow || (this.frame && this.frame.running);
    if (!running) return;
    if (speed < 0) {
      await this.pause();
      this.slowly();
    } else {
      this.stopSlow();
      await this.socket.ask("run", { speed }).catch(this.complain);
    }
  }

  async step(kind, count = 1) {
    this.stopSlow();
    await this.socket.ask("step", { kind, count }).catch(this.complain);
    this.settle();
  }

  seek(at) {
    this.socket.tell("seek", { at });
    this.settle();
  }

  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.keep(), 400);
  }

  async branch() {
    this.stopSlow();
    await this.socket.ask("branch").catch(this.complain);
    await this.keep();
  }

  async follow(index) {
    this.stopSlow();
    await this.socket.ask("follow", { branch: index }).catch(this.complain);
    this.settle();
  }

  // One round, substep by substep: each is named, and the picture stresses what it is about.
  async slowly() {
    const turn = ++this.turn;
    this.slow = true;
    this.paint();
    const { d_steps, g_steps } = this.sides[0];
    const substeps = [
      ...Array(d_steps).fill([["draw", ["real", "fakes"]], ["judge", ["real", "fakes", "surface"]], ["moveD", ["surface"], "discriminator"]]).flat(),
      ...Array(g_steps).fill([["make", ["fakes", "warp"]], ["slope", ["fakes", "arrows", "surface"]], ["moveG", ["fakes", "warp"], "generator"]]).flat(),
    ];
    while (turn === this.turn) {
      for (const [name, stress, kind] of substeps) {
        this.caption.textContent = this.words(`lab.slow.${name}`);
        this.caption.dataset.substep = name;
        for (const { picture } of this.views) picture.stress = stress;
        if (kind) await this.socket.ask("step", { kind, count: 1 }).catch(this.complain);
        this.paint();
        await new Promise((done) => setTimeout(done, SUBSTEP));
        if (turn !== this.turn) return;
      }
    }
  }

  stopSlow() {
    if (!this.slow) return;
    this.turn++;
    this.slow = false;
    this.caption.textContent = "";
    for (const { picture } of this.views) picture.stress = null;
    this.paint();
    this.settle();
  }

  async duel() {
    if (this.sides.length > 1) return this.start([this.sides[this.side]]).catch(this.complain);
    const other = this.sides[0];
    this.side = 1;
    return this.start([other, { ...other, penalties: Object.keys(other.penalties).length ? {} : { r1: 0.1, r2: 0.1 } }]).catch(this.complain);
  }

  async exhibit(each, cured) {
    this.side = 0;
    const sides = cured === "both" ? [each.fails, each.cured] : [cured ? each.cured : each.fails];
    try {
      await this.start(sides);
      this.status.textContent = this.words(`lab.show.${each.name}${cured === true ? ".cure" : ".why"}`);
      await this.socket.ask("run", { speed: 0 });
    } catch (problem) {
      this.complain(problem);
    }
  }

  // Set the Lab up as a step of the tour wants it.
  async stage(step) {
    this.shown = new Set(step.shown);
    this.ticks();
    this.netCard.hidden = true;
    try {
      await this.want();
      if (step.exhibit) return void (await this.exhibit(this.exhibits.find((each) => each.name === step.exhibit), false));
      if (step.settings) await this.start([{ ...this.usual, ...step.settings }]);
      if (step.steps) await this.socket.ask("step", { kind: step.steps[0], count: step.steps[1] });
      if (step.pause) await this.pause();
      if (step.run !== undefined && !this.frame?.running) await this.socket.ask("run", { speed: step.run });
      await this.keep();
    } catch (problem) {
      this.complain(problem);
    }
  }

  want() {
    this.netCard && (this.netCard.hidden = !this.shown.has("network"));
    const parts = [...this.shown].filter((part) => part !== "real");
    if (this.shown.has("arrows") && !this.shown.has("fakes")) parts.push("fakes");
    this.paint();
    return this.socket.ask("want", { parts: [...new Set(parts)] }).catch(this.complain);
  }

  async keep() {
    let sides;
    try {
      ({ sides } = await this.socket.ask("acts"));
    } catch {
      return;
    }
    this.kept = sides;
    const state = { sides, shown: [...this.shown] };
    if (this.drawn) state.drawn = this.drawn;
    this.place.keep(write(state));
  }

  async share() {
    await this.keep();
    try {
      await navigator.clipboard.writeText(location.href);
      this.status.textContent = this.words("lab.linked");
    } catch {
      this.status.textContent = this.words("lab.linkAbove");
    }
  }

  async copy() {
    try {
      const texts = await this.socket.ask("copy", { who: this.side });
      copies(this.words, texts, this.sides[0].data === "drawn", () => this.socket.tell("file"));
    } catch (problem) {
      this.complain(problem);
    }
  }

  file({ arrays, name }) {
    const link = el("a", { href: URL.createObjectURL(new Blob([arrays.bytes])), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // --- drawing one's own ----------------------------------------------------------------------------

  draw() {
    this.stopSlow();
    this.socket.tell("pause");
    this.planes(1);
    this.sides = [{ ...this.sides[0], data: "drawn" }];
    this.forms();
    this.strokes = [];
    this.drawing = true;
    const { picture, canvas, caption } = this.views[0];
    picture.half = 2.5;
    picture.strokes = this.strokes;
    this.frame = null;
    canvas.classList.add("drawing");
    canvas.tabIndex = 0;
    picture.draw({}, new Set());
    const done = el("button", { type: "button", class: "main", "data-do": "drawn", onclick: () => this.finishDrawing() }, this.words("lab.drawn"));
    caption.replaceChildren(`${this.words("lab.draw")} `, done);
  }

  drawable(canvas) {
    let last = null;
    const put = (event) => {
      const { picture } = this.views[0], [x, y] = picture.from(event);
      const steps = last ? Math.max(1, Math.round(Math.hypot(x - last[0], y - last[1]) / 0.03)) : 1;
      for (let k = 1; k <= steps && this.strokes.length < 7990; k++) {
        const t = k / steps, [a, b] = last || [x, y];
        this.strokes.push(Math.round(100 * (a + (x - a) * t)) / 100, Math.round(100 * (b + (y - b) * t)) / 100);
      }
      last = [x, y];
      picture.draw({}, new Set());
    };
    canvas.onpointerdown = (event) => {
      if (!canvas.classList.contains("drawing")) return;
      canvas.setPointerCapture(event.pointerId);
      put(event);
    };
    canvas.onpointermove = (event) => last && put(event);
    canvas.onpointerup = canvas.onpointercancel = () => (last = null);
  }

  finishDrawing() {
    if (!this.strokes.length) return this.complain({ refused: this.words("lab.drawNothing") });
    this.drawn = this.strokes;
    return this.start([{ ...this.sides[0], data: "drawn" }]).catch(this.complain);
  }

  // --- keys -----------------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    if (event.key === " " && event.target.tagName === "BUTTON") return;
    const acts = { " ": () => this.run(), d: () => this.step("discriminator"), g: () => this.step("generator"), s: () => this.step("round") };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}

// The settings that a side has come to by its changes.
function lastOf(line, begun) {
  const changes = (line.acts || []).filter(([kind]) => kind === "change");
  return changes.length ? changes.at(-1)[1] : begun;
}

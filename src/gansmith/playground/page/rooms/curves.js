// The charts of the Runs room: scores, losses, schedules and speed of the chosen runs.
import { el } from "/page/rooms/dom.js";
import { Plot } from "/page/rooms/plot.js";

const COLOURS = ["--one", "--two", "--three", "--four", "--fake", "--real"];

export function charts(room) {
  return new Charts(room);
}

class Charts {
  constructor(room) {
    this.room = room;
    this.plots = new Map();
    const { words } = room;
    const pick = el("select", { "aria-label": words("runs.x"), onchange: () => this.change({ unit: pick.value }) },
      ["images", "seconds"].map((each) => el("option", { value: each, selected: room.unit === each }, words(`runs.x.${each}`))));
    const log = el("input", { type: "checkbox", checked: room.log, onchange: () => this.change({ log: log.checked }) });
    const bar = el("div", { class: "bar" }, el("h2", { style: "margin:0" }, words("runs.curves")), el("label", {}, `${words("runs.x")} `, pick), el("label", {}, log, ` ${words("runs.log")}`));
    this.sections = Object.fromEntries(["scores", "losses", "more"].map((name) => [name, el("section", { hidden: true, "data-part": name })]));
    this.root = el("div", {}, bar, Object.values(this.sections));
  }

  close() {
    for (const plot of this.plots.values()) plot.close();
  }

  change(fields) {
    Object.assign(this.room, fields);
    this.room.keep();
    this.draw(this.room.there());
  }

  draw(names) {
    // What is the same as last time is not drawn again.
    const { room } = this;
    const now = JSON.stringify([names, room.unit, room.log, names.map((name) => {
      const held = room.held.get(name);
      return [held.epoch, held.images.length, held.images.at(-1), held.scores.length];
    })]);
    if (this.now === now) return;
    this.now = now;
    this.used = new Set();
    this.put("scores", this.scores(names));
    this.put("losses", this.losses(names));
    this.put("more", this.others(names));
    for (const [key, plot] of this.plots) {
      if (!this.used.has(key)) {
        plot.close();
        this.plots.delete(key);
      }
    }
  }

  put(name, charts) {
    const { words } = this.room, section = this.sections[name];
    section.hidden = !charts.length;
    const title = { scores: "runs.scores", losses: "runs.losses", more: "runs.more" }[name];
    const note = name === "losses" ? el("p", { class: "quiet small" }, words("runs.losses.note")) : null;
    const roots = charts.map(({ key, title, data, note: told }) => {
      this.used.add(key);
      let plot = this.plots.get(key);
      if (!plot) this.plots.set(key, (plot = new Plot(title, words, this.room.show)));
      plot.wanted = data;
      plot.root.querySelector(".told")?.remove();
      if (told) plot.root.append(el("p", { class: "told quiet small" }, told));
      return plot;
    });
    const box = section.querySelector(".plots");
    if (!box || roots.some((plot, i) => box.children[i] !== plot.root) || box.children.length !== roots.length) {
      section.replaceChildren(...[el("h3", {}, words(title)), note, el("div", { class: "plots" }, roots.map((plot) => plot.root))].filter(Boolean));
    }
    for (const plot of roots) plot.draw(plot.wanted);
  }

  curve(name, column, label, look) {
    const { room } = this, held = room.held.get(name), of = held.columns[column];
    if (!of) return null;
    return { name: label, xs: room.unit === "seconds" ? held.seconds : held.images, ys: of.mean, low: of.low, high: of.high, ...look };
  }

  data(series, more = {}) {
    return { series: series.filter(Boolean), unit: this.room.unit, log: this.room.log, named: this.room.there().length > 1, ...more };
  }

  // One chart for each score and each kind of card: unlike cards are never drawn together.
  scores(names) {
    const { room } = this, { words } = room, found = [];
    for (const [score, groups] of Object.entries(room.alike || {})) {
      groups.forEach((group, i) => {
        const mine = group.runs.filter((name) => names.includes(name));
        if (!mine.length) return;
        const series = mine.map((name) => {
          const told = room.held.get(name).scores.filter((each) => score in each.values);
          const spread = (sign) => told.map((each) => (each.spreads[score] === undefined ? null : each.values[score] + sign * each.spreads[score]));
          return { name: room.title(name), xs: told.map((each) => each[room.unit]), ys: told.map((each) => each.values[score]), low: spread(-1), high: spread(1), marks: true, ...room.look_of(name) };
        });
        const better = words(`runs.better.${group.card?.better || "lower"}`);
        const note = group.unlike.length ? words("runs.unlike", { first: room.title(groups[0].runs[0]), why: group.unlike.slice(0, 3).join("; ") }) : null;
        found.push({ key: `score ${score} ${i} ${mine.length > 1}`, title: `${score} — ${better}`, data: this.data(series, { level: group.card?.floor }), note });
      });
    }
    return found;
  }

  columns(names, prefix) {
    return [...new Set(names.flatMap((name) => Object.keys(room_columns(this.room, name)).filter((each) => each.startsWith(prefix))))];
  }

  losses(names) {
    const columns = this.columns(names, "terms/");
    const plain = (column) => column.slice("terms/".length);
    if (names.length > 1) return columns.map((column) => this.overlaid(names, column, plain(column)));
    const moves = {};
    for (const column of columns) {
      const path = plain(column).split("/");
      const move = path.length > 1 ? path.slice(0, -1).join("/") : "losses";
      (moves[move] = moves[move] || []).push([column, path.at(-1)]);
    }
    return Object.entries(moves).map(([move, terms]) => {
      const series = terms.map(([column, label], i) => this.curve(names[0], column, label.replaceAll("_", " "), { colour: `var(${COLOURS[i % COLOURS.length]})`, dash: i < COLOURS.length ? "" : "6 3" }));
      return { key: `move ${move}`, title: move.replaceAll("_", " "), data: this.data(series) };
    });
  }

  overlaid(names, column, title) {
    const series = names.map((name) => this.curve(name, column, this.room.title(name), this.room.look_of(name)));
    return { key: `all ${column}`, title: title.replaceAll("_", " "), data: this.data(series) };
  }

  others(names) {
    const moving = this.columns(names, "knobs/").filter((column) => names.some((name) => new Set((room_columns(this.room, name)[column] || { mean: [] }).mean.filter((v) => v !== null)).size > 1));
    const found = moving.map((column) => this.overlaid(names, column, column.slice("knobs/".length)));
    if (this.columns(names, "rate").length) found.push(this.overlaid(names, "rate", this.room.words("runs.speed")));
    return found;
  }
}

function room_columns(room, name) {
  return room.held.get(name)?.columns || {};
}

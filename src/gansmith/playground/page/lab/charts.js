// Small line charts on canvases: what a play has measured, its ghost where it once went otherwise, and where it is now.
import { el, fitted, short, style } from "/page/lab/dom.js";

const MOST = 12000; // rows of a series that are kept; then every other one goes

export class Series {
  constructor() {
    this.rows = [];
    this.ghost = [];
  }

  add(rows) {
    for (const row of rows) {
      const last = this.rows.at(-1);
      if (last && row[0] <= last[0]) {
        const from = this.rows.findIndex((old) => old[0] >= row[0]);
        this.ghost = this.rows.slice(Math.max(from - 1, 0));
        this.rows.length = from;
      }
      this.rows.push(row);
    }
    if (this.rows.length > MOST) this.rows = this.rows.filter((_, i) => i % 2 === 0);
  }
}

export class Chart {
  // lines: [{of: "points" | "scores", column, colour: "--one", label}]
  constructor(title, lines, { log = false, zero = false, top = null } = {}) {
    Object.assign(this, { title, lines, log, zero, top });
    this.canvas = el("canvas", { class: "chart", role: "img" });
    this.values = el("span", { class: "values" });
    this.root = el("figure", {}, el("figcaption", {}, el("span", {}, title), this.values), this.canvas);
    this.floor = null;
  }

  draw(sides, at, end) {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width) return;
    const ink = fitted(this.canvas, width, height);
    const every = sides.flatMap((side, who) => this.lines.map((line) => ({ line, who, series: side[line.of] })));
    const scale = this.log ? (v) => Math.log10(Math.max(v, 1e-8)) : (v) => v;
    let low = Infinity, high = -Infinity;
    for (const { line, series } of every) {
      for (const rows of [series.rows, series.ghost]) {
        for (const row of rows) {
          const value = row[line.column];
          if (value === null || !Number.isFinite(value)) continue;
          low = Math.min(low, scale(value));
          high = Math.max(high, scale(value));
        }
      }
    }
    const empty = low > high;
    if (empty) [low, high] = [0, 1];
    if (this.zero) low = Math.min(low, 0);
    if (this.top !== null) high = this.top;
    if (this.floor !== null) low = Math.min(low, 0);
    if (high - low < 1e-6) high = low + 1;
    const left = 42, bottom = height - 4, up = 5;
    const px = (t) => left + ((width - left - 4) * t) / Math.max(end, 1);
    const py = (v) => bottom - ((bottom - up) * (v - low)) / (high - low);
    ink.strokeStyle = style("--line");
    ink.fillStyle = style("--quiet");
    ink.font = "10px system-ui, sans-serif";
    ink.textAlign = "right";
    ink.lineWidth = 1;
    for (const value of [low, high]) {
      const y = Math.round(py(value)) + 0.5;
      ink.beginPath(), ink.moveTo(left, y), ink.lineTo(width - 4, y), ink.stroke();
      if (!empty) ink.fillText(short(this.log ? 10 ** value : value), left - 4, Math.min(Math.max(y + 3, 9), height - 2));
    }
    if (this.floor !== null && !empty) {
      ink.setLineDash([2, 3]);
      ink.beginPath(), ink.moveTo(left, py(this.floor)), ink.lineTo(width - 4, py(this.floor)), ink.stroke();
      ink.setLineDash([]);
    }
    const paths = (rows, line, who, alpha) => {
      ink.strokeStyle = style(line.colour);
      ink.globalAlpha = alpha;
      ink.lineWidth = 1.5;
      ink.setLineDash(who ? [4, 3] : []);
      ink.beginPath();
      const skip = Math.max(1, Math.floor(rows.length / (2 * width)));
      let down = false;
      for (let i = 0; i < rows.length; i += skip) {
        const value = rows[i][line.column];
        if (value === null || !Number.isFinite(value)) {
          down = false;
          continue;
        }
        const y = Math.min(Math.max(py(scale(value)), -4), height + 4);
        down ? ink.lineTo(px(rows[i][0]), y) : ink.moveTo(px(rows[i][0]), y);
        down = true;
      }
      ink.stroke();
      ink.setLineDash([]);
      ink.globalAlpha = 1;
    };
    for (const { line, who, series } of every) {
      paths(series.ghost, line, who, 0.28);
      paths(series.rows, line, who, 1);
    }
    ink.strokeStyle = style("--quiet");
    ink.beginPath(), ink.moveTo(px(at), up), ink.lineTo(px(at), bottom), ink.stroke();
    this.tell(every, at);
  }

  tell(every, at) {
    this.values.replaceChildren();
    const said = [];
    for (const { line, who, series } of every) {
      const row = series.rows.findLast((each) => each[0] <= at);
      const text = short(row ? row[line.column] : null);
      const name = [line.label, every.length > this.lines.length ? "AB"[who] : ""].filter(Boolean).join(" ");
      const key = el("i", { class: who ? "key second" : "key", style: `color: var(${line.colour})` });
      this.values.append(el("span", {}, key, `${name ? `${name} ` : ""}${text}`));
      said.push(`${name} ${text}`.trim());
    }
    this.canvas.setAttribute("aria-label", `${this.title}: ${said.join(", ")}`);
  }
}

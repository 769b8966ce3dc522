// A line chart as SVG: several curves, bands of least and greatest, and a cross hair by mouse or arrow keys.
import { el } from "/page/rooms/dom.js";

const NS = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 22, HEIGHT = 170;

function svg(tag, fields = {}, ...inner) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(fields)) made.setAttribute(name, value);
  made.append(...inner);
  return made;
}

export function ticks(low, high, about) {
  if (!(high > low)) return [low];
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}

function powers(low, high) {
  const found = [];
  for (let p = Math.ceil(Math.log10(low)); p <= Math.log10(high); p++) found.push(10 ** p);
  return found.length >= 2 ? found : ticks(low, high, 4).filter((each) => each > 0);
}

// Where most of the values are: a first loss of a thousand must not flatten all the others.
export function range(series, log) {
  const all = [];
  for (const { ys, low, high } of series) {
    for (const list of [ys, low, high]) for (const value of list || []) if (value !== null && (!log || value > 0)) all.push(value);
  }
  if (!all.length) return null;
  all.sort((a, b) => a - b);
  const at = (share) => all[Math.round(share * (all.length - 1))];
  let [low, high] = [all[0], all[all.length - 1]];
  if (all.length > 60 && !log) {
    const span = at(0.98) - at(0.02);
    low = Math.max(low, at(0.02) - span);
    high = Math.min(high, at(0.98) + span);
  }
  if (!(high > low)) {
    const around = Math.abs(low) || 1;
    [low, high] = log ? [low / 2, low * 2] : [low - around / 2, high + around / 2];
  }
  const margin = log ? 1 : (high - low) * 0.04;
  return log ? [low, high] : [low - margin, high + margin];
}

let plots = 0;

export class Plot {
  // words of the room, figures of dom.js
  constructor(title, words, show) {
    this.words = words;
    this.show = show;
    this.id = `clip-${++plots}`;
    this.keys = el("div", { class: "keys" });
    this.frame = svg("svg", { tabindex: "0", role: "img", height: HEIGHT });
    this.said = el("span", { class: "unseen", "aria-live": "polite" });
    this.root = el("figure", { class: "plot card" }, el("figcaption", {}, title), this.keys, this.frame, this.said);
    this.title = title;
    this.at = null;
    this.watch = new ResizeObserver(() => this.data && this.draw(this.data));
    this.watch.observe(this.root);
    this.frame.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.frame.addEventListener("pointerleave", () => this.hover(null));
    this.frame.addEventListener("keydown", (event) => this.step(event));
    this.frame.addEventListener("blur", () => this.hover(null));
  }

  close() {
    this.watch.disconnect();
  }

  // series: [{name, xs, ys, low, high, colour, dash, marks}], unit: of x, log, level: a dashed line, named: also one alone
  draw(data) {
    this.data = data;
    const { series, log, level } = data;
    const width = Math.max(this.root.clientWidth - 18, 160);
    const there = range(level === undefined || level === null ? series : [...series, { ys: [level] }], log);
    this.frame.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.frame.setAttribute("width", width);
    const xs = series.flatMap((each) => (each.xs.length ? [each.xs[0], each.xs[each.xs.length - 1]] : []));
    this.frame.replaceChildren();
    if (!there || !xs.length) return this.legend();
    let [left, right] = [Math.min(...xs, 0), Math.max(...xs)];
    if (!(right > left)) right = left + 1;
    const scale = log ? Math.log10 : (v) => v;
    const [bottom, top] = there.map(scale);
    this.x = (v) => LEFT + ((v - left) / (right - left)) * (width - LEFT - RIGHT);
    this.y = (v) => TOP + (1 - (scale(v) - bottom) / (top - bottom || 1)) * (HEIGHT - TOP - BOTTOM);
    const clip = svg("clipPath", { id: this.id }, svg("rect", { x: LEFT - 4, y: TOP - 4, width: width - LEFT - RIGHT + 8, height: HEIGHT - TOP - BOTTOM + 8 }));
    this.frame.append(svg("defs", {}, clip));
    for (const v of log ? powers(...there) : ticks(...there, 4)) {
      const at = this.y(v);
      const text = svg("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" });
      text.textContent = this.show.number(v);
      this.frame.append(svg("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }), text);
    }
    for (const v of ticks(left, right, width / 110)) {
      const anchor = this.x(v) > width - 28 ? "end" : "middle";
      const text = svg("text", { x: Math.min(this.x(v), width - 2), y: HEIGHT - 6, "text-anchor": anchor });
      text.textContent = data.unit === "seconds" ? this.show.time(v) : this.show.short(v);
      this.frame.append(text);
    }
    const inner = svg("g", { "clip-path": `url(#${this.id})` });
    for (const each of series) if (each.low) inner.append(this.band(each, log));
    if (level !== undefined && level !== null && (!log || level > 0)) {
      inner.append(svg("line", { class: "level", x1: LEFT, x2: width - RIGHT, y1: this.y(level), y2: this.y(level) }));
    }
    for (const each of series) inner.append(...this.curve(each, log));
    this.cross = svg("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    this.frame.append(inner, this.cross);
    this.legend();
    if (this.at !== null) this.hover(this.at);
    const ends = series.map((each) => `${each.name} ${this.show.number(last(each.ys))}`);
    this.frame.setAttribute("aria-label", `${this.title}. ${this.words("runs.plot.last")}: ${ends.join("; ")}. ${this.words("runs.plot.keys")}`);
    return undefined;
  }

  curve(each, log) {
    let path = "", open = false;
    const marks = [];
    for (let i = 0; i < each.xs.length; i++) {
      const v = each.ys[i];
      if (v === null || v === undefined || (log && v <= 0)) {
        continue; // reports without this number: the line goes on to the next that has it
      }
      const [x, y] = [this.x(each.xs[i]).toFixed(1), this.y(v).toFixed(1)];
      path += `${open ? "L" : "M"}${x} ${y}`;
      open = true;
      if (each.marks) marks.push(svg("circle", { cx: x, cy: y, r: 3, style: `fill:${each.colour}` }));
    }
    return [svg("path", { class: "curve", d: path, style: `stroke:${each.colour}`, "stroke-dasharray": each.dash || "none" }), ...marks];
  }

  band(each, log) {
    const there = [];
    for (let i = 0; i < each.xs.length; i++) {
      const [a, b] = [each.low[i], each.high[i]];
      if (a !== null && b !== null && a !== undefined && (!log || a > 0)) there.push([this.x(each.xs[i]), this.y(a), this.y(b)]);
    }
    if (there.length < 2) return svg("g");
    const up = there.map(([x, , y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
    const down = there.reverse().map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
    return svg("path", { class: "band", d: `M${up.join("L")}L${down.join("L")}Z`, style: `fill:${each.colour}` });
  }

  legend(at = null) {
    const many = this.data.named || this.data.series.length > 1;
    const keys = this.data.series.map((each) => {
      const i = at === null ? null : nearest(each, at);
      const value = at === null ? last(each.ys) : i === null ? null : each.ys[i];
      const swatch = svg("svg", { class: "swatch", viewBox: "0 0 18 6", width: 18, height: 6, "aria-hidden": "true" });
      swatch.append(svg("line", { x1: 0, x2: 18, y1: 3, y2: 3, "stroke-dasharray": each.dash || "none", style: `stroke:${each.colour}` }));
      return el("span", {}, many ? swatch : null, many ? `${each.name} ` : null, el("b", {}, this.show.number(value)));
    });
    const where = at === null ? [] : [el("span", { class: "quiet" }, this.data.unit === "seconds" ? this.show.time(at) : this.show.whole(Math.round(at)))];
    this.keys.replaceChildren(...keys, ...where);
  }

  point(pixel) {
    if (!this.x || !this.data) return;
    const all = this.data.series.flatMap((each) => each.xs);
    if (!all.length) return;
    let best = all[0];
    for (const x of all) if (Math.abs(this.x(x) - pixel) < Math.abs(this.x(best) - pixel)) best = x;
    this.hover(best);
  }

  step(event) {
    const way = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!way || !this.data) return;
    event.preventDefault();
    const all = [...new Set(this.data.series.flatMap((each) => each.xs))].sort((a, b) => a - b);
    if (!all.length) return;
    const now = this.at === null ? all.length : all.indexOf(this.at);
    const stride = event.shiftKey ? 10 : 1;
    this.hover(all[Math.min(Math.max(now + way * stride, 0), all.length - 1)]);
    this.said.textContent = this.keys.textContent;
  }

  hover(at) {
    this.at = at;
    if (!this.cross) return;
    this.cross.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) this.cross.setAttribute(end, this.x(at));
    this.legend(at);
  }
}

function last(list) {
  for (let i = list.length - 1; i >= 0; i--) if (list[i] !== null && list[i] !== undefined) return list[i];
  return null;
}

function nearest(each, at) {
  let best = null;
  for (let i = 0; i < each.xs.length; i++) {
    if (each.ys[i] === null || each.ys[i] === undefined) continue;
    if (best === null || Math.abs(each.xs[i] - at) < Math.abs(each.xs[best] - at)) best = i;
  }
  return best;
}

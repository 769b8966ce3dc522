// The plane: real points, fakes, what the discriminator thinks, how the generator bends its noise, and where it is pulled.
import { fitted, style } from "/page/lab/dom.js";

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.cells = document.createElement("canvas");
    this.half = 2.5;
    this.real = null;
    this.strokes = null; // points that are being drawn
    this.stress = null; // parts that slow motion talks of; others are faint
  }

  to(x, y) {
    return [(0.5 + x / (2 * this.half)) * this.size, (0.5 - y / (2 * this.half)) * this.size];
  }

  from(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    return [(2 * x - 1) * this.half, (1 - 2 * y) * this.half];
  }

  faint(part) {
    return this.stress && !this.stress.includes(part) ? 0.18 : 1;
  }

  draw(arrays, shown) {
    this.size = this.canvas.clientWidth;
    if (!this.size) return;
    const ink = fitted(this.canvas, this.size, this.size);
    this.ink = ink;
    ink.fillStyle = style("--sheet");
    ink.fillRect(0, 0, this.size, this.size);
    if (shown.has("surface") && arrays.surface) this.surface(arrays.surface);
    this.axes();
    if (shown.has("warp") && arrays.warp) this.warp(arrays.warp);
    if (shown.has("field") && arrays.field) this.field(arrays.field);
    if (shown.has("real") && this.real) this.points(this.real, style("--real"), this.faint("real"), "round");
    if (shown.has("fakes") && arrays.fakes) this.points(arrays.fakes, style("--fake"), this.faint("fakes"), "square");
    if (shown.has("arrows") && arrays.arrows && arrays.fakes) this.arrows(arrays.fakes, arrays.arrows);
    if (this.strokes) this.points(this.strokes, style("--real"), 1, "round");
  }

  axes() {
    const { ink, size } = this;
    ink.strokeStyle = style("--line");
    ink.lineWidth = 1;
    ink.globalAlpha = 0.7;
    ink.beginPath();
    for (let k = -Math.floor(this.half); k <= this.half; k++) {
      const [x, y] = this.to(k, k).map((v) => Math.round(v) + 0.5);
      const tick = k === 0 ? size : 5;
      ink.moveTo(x, size), ink.lineTo(x, size - tick), ink.moveTo(0, y), ink.lineTo(tick, y);
    }
    ink.stroke();
    ink.globalAlpha = 1;
  }

  surface(values) {
    const side = Math.round(Math.sqrt(values.length));
    const high = style("--high").split(",").map(Number), low = style("--low").split(",").map(Number);
    Object.assign(this.cells, { width: side, height: side });
    const ink = this.cells.getContext("2d"), image = ink.createImageData(side, side);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const value = values[row * side + column], at = 4 * ((side - 1 - row) * side + column);
        const colour = value > 0.5 ? high : low;
        image.data.set(colour, at);
        image.data[at + 3] = 150 * Math.abs(2 * value - 1);
      }
    }
    ink.putImageData(image, 0, 0);
    this.ink.imageSmoothingEnabled = true;
    this.ink.globalAlpha = this.faint("surface");
    this.ink.drawImage(this.cells, 0, 0, this.size, this.size);
    this.ink.globalAlpha = 1;
  }

  warp(points) {
    const { ink } = this, count = points.length / 2, side = Math.round(Math.sqrt(count));
    const at = (i) => this.to(points[2 * i], points[2 * i + 1]);
    ink.strokeStyle = ink.fillStyle = style("--fake");
    ink.lineWidth = 0.6;
    if (side * side !== count) { // one dimension of noise: a curve
      ink.lineWidth = 2;
      ink.beginPath();
      for (let i = 0; i < count; i++) ink.lineTo(...at(i));
      ink.stroke();
      return;
    }
    const cell = (this.size / (side - 1)) ** 2;
    for (let row = 0; row + 1 < side; row++) {
      for (let column = 0; column + 1 < side; column++) {
        const i = row * side + column, corners = [i, i + 1, i + side + 1, i + side].map(at);
        let area = 0;
        for (let k = 0; k < 4; k++) {
          const [a, b] = [corners[k], corners[(k + 1) % 4]];
          area += a[0] * b[1] - b[0] * a[1];
        }
        // Every cell holds the same share of the fakes: the smaller it has become, the denser they lie.
        const dense = Math.min(0.06 + (0.25 * cell) / Math.max(Math.abs(area), cell / 60), 0.75);
        ink.globalAlpha = dense * this.faint("warp");
        ink.beginPath();
        for (const corner of corners) ink.lineTo(...corner);
        ink.closePath();
        ink.fill();
        ink.globalAlpha = 0.35 * this.faint("warp");
        ink.stroke();
      }
    }
    ink.globalAlpha = 1;
  }

  points(values, colour, alpha, form) {
    const { ink } = this, r = Math.max(this.size / 260, 1.6);
    ink.fillStyle = colour;
    ink.globalAlpha = 0.72 * alpha;
    for (let i = 0; i < values.length; i += 2) {
      const [x, y] = this.to(values[i], values[i + 1]);
      if (form === "square") ink.fillRect(x - r, y - r, 2 * r, 2 * r); // shapes differ, for who cannot tell the colours
      else {
        ink.beginPath();
        ink.arc(x, y, r, 0, 7);
        ink.fill();
      }
    }
    ink.globalAlpha = 1;
  }

  arrow(x, y, dx, dy) {
    const { ink } = this, angle = Math.atan2(dy, dx), head = Math.min(5, 0.45 * Math.hypot(dx, dy));
    ink.moveTo(x, y);
    ink.lineTo(x + dx, y + dy);
    for (const turn of [2.6, -2.6]) {
      ink.moveTo(x + dx, y + dy);
      ink.lineTo(x + dx + head * Math.cos(angle + turn), y + dy + head * Math.sin(angle + turn));
    }
  }

  // Lengths are relative to the longest nine tenths, and end by a cap: a gradient knows no unit of length.
  many(places, pulls, count, cap, colour, alpha) {
    const sizes = [];
    for (let i = 0; i < count; i++) sizes.push(Math.hypot(pulls[2 * i], pulls[2 * i + 1]));
    const unit = [...sizes].sort((a, b) => a - b)[Math.floor(0.9 * (count - 1))];
    if (!(unit > 1e-9)) return;
    const { ink } = this;
    ink.strokeStyle = colour;
    ink.lineWidth = 1.2;
    ink.globalAlpha = alpha;
    ink.beginPath();
    for (let i = 0; i < count; i++) {
      const length = (cap * Math.min(sizes[i] / unit, 1.3)) / Math.max(sizes[i], 1e-12);
      const [x, y] = this.to(...places(i));
      this.arrow(x, y, pulls[2 * i] * length, -pulls[2 * i + 1] * length);
    }
    ink.stroke();
    ink.globalAlpha = 1;
  }

  arrows(fakes, pulls) {
    const count = pulls.length / 2;
    this.many((i) => [fakes[2 * i], fakes[2 * i + 1]], pulls, count, this.size / 16, style("--fake"), 0.95 * this.faint("arrows"));
  }

  field(pulls) {
    const count = pulls.length / 2, side = Math.round(Math.sqrt(count));
    const along = (k) => ((k + 0.5) / side) * 2 * this.half - this.half;
    const places = (i) => [along(i % side), along(Math.floor(i / side))];
    this.many(places, pulls, count, (0.8 * this.size) / side, style("--quiet"), 0.7 * this.faint("field"));
  }
}

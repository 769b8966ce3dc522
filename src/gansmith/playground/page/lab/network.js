// The two networks as units and weights: how strongly each is on, and what it passes on.
import { fitted, style } from "/page/lab/dom.js";

export function drawNetwork(canvas, arrays, titles) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !arrays["g.on"]) return;
  const ink = fitted(canvas, width, height);
  const gap = 26, room = (width - gap) / 2;
  one(ink, arrays["g.on"], arrays["g.weights"], 0, room, height, style("--fake"), titles[0]);
  one(ink, arrays["d.on"], arrays["d.weights"], room + gap, room, height, style("--one"), titles[1]);
  ink.strokeStyle = ink.fillStyle = style("--quiet");
  ink.beginPath(), ink.moveTo(room + 4, height / 2), ink.lineTo(room + gap - 4, height / 2), ink.stroke();
  ink.beginPath(), ink.moveTo(room + gap - 2, height / 2), ink.lineTo(room + gap - 9, height / 2 - 4);
  ink.lineTo(room + gap - 9, height / 2 + 4), ink.fill();
}

function one(ink, on, weights, left, width, height, colour, title) {
  const [layers, units] = on.shape, top = 18;
  const count = (k) => {
    let n = 0;
    while (n < units && on[k * units + n] >= 0) n++;
    return n;
  };
  const place = (k, i) => [
    left + 10 + ((width - 20) * k) / Math.max(layers - 1, 1),
    top + (height - top - 8) * ((i + 0.5) / Math.max(count(k), 1)),
  ];
  for (let k = 0; k + 1 < layers; k++) {
    for (let j = 0; j < count(k + 1); j++) {
      for (let i = 0; i < count(k); i++) {
        const weight = weights[(k * units + j) * units + i];
        const flow = Math.abs(weight) * Math.min(on[k * units + i], 1);
        if (flow < 0.03) continue;
        ink.strokeStyle = weight > 0 ? style("--one") : style("--two");
        ink.globalAlpha = Math.min(0.12 + flow, 0.85);
        ink.lineWidth = 0.5 + 1.6 * flow;
        ink.beginPath(), ink.moveTo(...place(k, i)), ink.lineTo(...place(k + 1, j)), ink.stroke();
      }
    }
  }
  for (let k = 0; k < layers; k++) {
    for (let i = 0; i < count(k); i++) {
      const [x, y] = place(k, i);
      ink.globalAlpha = 1;
      ink.fillStyle = style("--card");
      ink.beginPath(), ink.arc(x, y, 4.5, 0, 7), ink.fill();
      ink.fillStyle = ink.strokeStyle = colour;
      ink.globalAlpha = Math.min(0.12 + on[k * units + i], 1);
      ink.fill();
      ink.globalAlpha = 1;
      ink.lineWidth = 1;
      ink.stroke();
    }
  }
  ink.fillStyle = style("--quiet");
  ink.font = "11px system-ui, sans-serif";
  ink.textAlign = "left";
  ink.fillText(title, left + 2, 11);
}

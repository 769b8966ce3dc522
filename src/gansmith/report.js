// The page is complete without this; it adds the slider over time and the read-out of the charts.
(function () {
  "use strict";
  document.documentElement.classList.add("js");

  var frames = Array.prototype.slice.call(document.querySelectorAll(".frames figure"));
  var picture = document.getElementById("picture");
  var caption = document.getElementById("caption");
  var clock = document.getElementById("clock");
  function show(i, scroll) {
    frames.forEach(function (frame, k) { frame.classList.toggle("now", k === i); });
    picture.src = frames[i].querySelector("img").src;
    picture.alt = frames[i].querySelector("img").alt;
    caption.textContent = frames[i].dataset.caption;
    clock.setAttribute("aria-valuetext", frames[i].dataset.caption);
    clock.value = i;
    if (scroll) {
      var strip = frames[i].parentNode;
      strip.scrollLeft = frames[i].offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + frames[i].clientWidth / 2;
    }
  }
  if (frames.length && clock) {
    clock.addEventListener("input", function () { show(Number(clock.value), true); });
    frames.forEach(function (frame, i) { frame.addEventListener("click", function () { show(i, false); }); });
    show(frames.length - 1, true);
  }

  function short(v) {
    var size = Math.abs(v), steps = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (var i = 0; i < steps.length; i++) {
      if (size >= steps[i][0]) { return String(Number((v / steps[i][0]).toPrecision(4))) + steps[i][1]; }
    }
    return size && size < 1e-3 ? v.toExponential(2) : String(Number(v.toPrecision(4)));
  }
  Array.prototype.forEach.call(document.querySelectorAll("svg.chart"), function (svg) {
    var points = JSON.parse(svg.dataset.points), frame = JSON.parse(svg.dataset.frame);
    var panel = svg.parentNode, values = {}, last = {}, when = panel.querySelector(".when");
    var unit = svg.querySelector(".axis").textContent;
    Array.prototype.forEach.call(panel.querySelectorAll(".keys b"), function (b) {
      values[b.dataset.name] = b; last[b.dataset.name] = b.textContent;
    });
    var hair = document.createElementNS("http://www.w3.org/2000/svg", "line");
    hair.setAttribute("class", "hair");
    hair.setAttribute("y1", frame[2]); hair.setAttribute("y2", frame[3]);
    function leave() {
      if (hair.parentNode) { svg.removeChild(hair); }
      Object.keys(values).forEach(function (name) { values[name].textContent = last[name]; });
      if (when) { when.textContent = ""; }
    }
    svg.addEventListener("pointermove", function (event) {
      var box = svg.getBoundingClientRect();
      var x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      if (x < frame[0] || x > frame[1]) { leave(); return; }
      var images = frame[4] + (x - frame[0]) / (frame[1] - frame[0]) * (frame[5] - frame[4]), at = null;
      Object.keys(points).forEach(function (name) {
        var best = points[name].reduce(function (a, b) {
          return Math.abs(b[0] - images) < Math.abs(a[0] - images) ? b : a;
        });
        if (values[name]) { values[name].textContent = short(best[1]); }
        at = best[0];
      });
      var px = frame[0] + (at - frame[4]) / (frame[5] - frame[4]) * (frame[1] - frame[0]);
      hair.setAttribute("x1", px); hair.setAttribute("x2", px);
      svg.appendChild(hair);
      if (when) { when.textContent = "at " + short(at) + " " + unit; }
    });
    svg.addEventListener("pointerleave", leave);
  });
})();

// The histogram has the thresholds as edges: a filter removes whole bars.
function weights(parts) {
  const { own, x, width, edges } = parts,
    height = 96,
    base = height - 30;
  const element = draw("svg", {
    width,
    height,
    role: "img",
    "aria-label": histogramSentence(own, edges),
  });
  drawBars(element, parts, base);
  parts.window = draw("rect", {
    y: 12,
    height: base - 12,
    fill: "var(--ink)",
    opacity: 0.32,
    visibility: "hidden",
  });
  element.append(parts.window);
  edges.forEach((edge) =>
    element.append(
      draw("line", { x1: x(edge), x2: x(edge), y1: base, y2: base + 4, stroke: "var(--soft)" }),
    ),
  );
  element.append(
    draw("line", {
      x1: x(edges[0]),
      x2: x(edges[edges.length - 1]),
      y1: base,
      y2: base,
      stroke: "var(--soft)",
    }),
  );
  for (const tick of ticks(edges[0], edges[edges.length - 1], width / 85))
    element.append(
      svgText(x(tick), base + 16, formatNumber(tick), {
        "text-anchor": "middle",
        "font-size": 10.5,
        class: "soft",
      }),
    );
  element.append(
    svgText(
      width - 10,
      height - 2,
      study().compare === "magnitude" ? "magnitude of a weight" : "value of a weight",
      { "text-anchor": "end", "font-size": 10.5, class: "soft" },
    ),
  );
  element.append(
    svgText(40, 9, "weights between thresholds (square-root scale)", {
      "font-size": 10.5,
      class: "soft",
    }),
  );
  return element;
}

// The levels of a replacement, in place of a histogram.
function levelAxis({ x, width }, levels, unit) {
  const height = 34,
    element = draw("svg", { width, height, "aria-hidden": "true" });
  const every = Math.ceil(levels.length / Math.max(2, Math.floor(width / 60)));
  levels.forEach((level, step) => {
    if (step % every) return;
    const look = { "text-anchor": "middle", "font-size": 10.5, class: "soft" };
    element.append(svgText(x(step), 12, formatNumber(level), look));
  });
  const look = { "text-anchor": "end", "font-size": 10.5, class: "soft" };
  element.append(svgText(width - 10, 30, unit, look));
  return element;
}

function drawBars(element, parts, base) {
  const { own, x, edges } = parts;
  parts.bars = [];
  if (own.histogram) {
    const [counts] = own.histogram,
      most = Math.sqrt(Math.max(...counts, 1));
    counts.forEach((number, index) => {
      const tall = number > 0 ? Math.max(1, (Math.sqrt(number) / most) * (base - 14)) : 0;
      const bar = draw("rect", {
        x: x(edges[index]) + 0.5,
        y: base - tall,
        width: Math.max(0.8, x(edges[index + 1]) - x(edges[index]) - 1),
        height: tall,
        fill: "var(--reference)",
      });
      parts.bars.push(bar);
      element.append(bar);
    });
  }
}

function histogramSentence(own, edges) {
  if (!own.histogram) return "No histogram: these filters alone do not tell how the weights lie.";
  const most = own.histogram[0].indexOf(Math.max(...own.histogram[0]));
  return (
    "Histogram of the weights between thresholds; most, " +
    count(own.histogram[0][most]) +
    ", lie between " +
    formatNumber(edges[most]) +
    " and " +
    formatNumber(edges[most + 1])
  );
}

function showRemoved(name, sweep, step, parts) {
  if (!study().levels) shadeRemoved(name, sweep, step, parts);
  describeStep(name, sweep, step, parts);
}

function shadeRemoved(name, sweep, step, parts) {
  const { edges, own, x } = parts,
    alpha = sweep.alpha[step],
    { removes } = filterInfo(name);
  const first = edges[0],
    last = edges[edges.length - 1],
    half = own.pulse || 0,
    slack = 1e-6 * (last - first);
  const [from, to] = {
    below: [first, alpha],
    above: [alpha, last],
    window: [Math.max(first, alpha - half), Math.min(last, alpha + half)],
  }[removes] || [last, first];
  const moving = removes === "window"; // a window may cut through bars
  parts.bars.forEach((bar, index) => {
    const isRemoved = !moving && edges[index] >= from - slack && edges[index + 1] <= to + slack;
    bar.setAttribute("fill", isRemoved ? "var(--ink)" : "var(--reference)");
    bar.setAttribute("class", isRemoved ? "gone" : "");
  });
  parts.window.setAttribute("x", x(from));
  parts.window.setAttribute("width", Math.max(1, x(to) - x(from)));
  parts.window.setAttribute("visibility", moving ? "visible" : "hidden");
}

function describeStep(name, sweep, step, parts) {
  const data = study();
  const ends = (side) =>
    sweep[side + "_low"][step] === null
      ? ""
      : " (" +
        formatMetric(sweep[side + "_low"][step]) +
        " to " +
        formatMetric(sweep[side + "_high"][step]) +
        ")";
  parts.says.textContent =
    capital(filterName(name)) +
    (data.levels ? " at level " : " at ") +
    formatNumber(sweep.alpha[step]) +
    (data.levels ? " (" + filterInfo(name).unit + ") changes " : " removes ") +
    count(sweep.zeroed[step]) +
    " of " +
    count(data.targets.size[state.target]) +
    " weights; " +
    data.performance +
    " " +
    sides()
      .map(([side]) => formatMetric(sweep[side][step]) + ends(side) + " " + side)
      .join(", ") +
    ".";
}

function resetRemoved(parts) {
  for (const bar of parts.bars || []) {
    bar.setAttribute("fill", "var(--reference)");
    bar.setAttribute("class", "");
  }
  if (parts.window) parts.window.setAttribute("visibility", "hidden");
  parts.says.textContent =
    "Move over a curve, or step through it with the arrow keys" +
    (study().levels
      ? ": a level at a time, from mild to strong."
      : ": the shaded part of the histogram is what the filter removes there.");
}

function numberHeads() {
  return study().levels
    ? ["replacement", "level", "changed", "as before"]
    : ["filter", "threshold", "removed", "kept"];
}

function fillNumbers(box) {
  if (!box.open) return;
  const own = study().curves[state.target],
    body = clear(box.querySelector("div"));
  if (!own) return;
  const names = sides().map(([side]) => side);
  const rows = Object.entries(own.filters).flatMap(([name, sweep]) =>
    sweep.alpha.map((alpha, step) =>
      el(
        "tr",
        {},
        el("td", {}, filterName(name)),
        ...[
          formatNumber(alpha),
          count(sweep.zeroed[step]),
          percent(sweep.density[step]),
          ...names.map((side) => formatMetric(sweep[side][step])),
        ].map((text) => el("td", { class: "number" }, text)),
      ),
    ),
  );
  body.append(
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ...[...numberHeads(), ...names].map((text) => el("th", { scope: "col" }, text)),
        ),
      ),
      el("tbody", {}, ...rows),
    ),
  );
}

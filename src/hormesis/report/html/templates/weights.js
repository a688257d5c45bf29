// The histogram has the thresholds as edges: a filter removes whole bars.
function weights(parts) {
  const { own, x, width, edges } = parts,
    height = 96,
    base = height - 30;
  const made = draw("svg", { width, height, role: "img", "aria-label": histogramSaid(own, edges) });
  drawBars(made, parts, base);
  parts.window = draw("rect", {
    y: 12,
    height: base - 12,
    fill: "var(--fragile)",
    opacity: 0.32,
    visibility: "hidden",
  });
  made.append(parts.window);
  edges.forEach((edge) =>
    made.append(
      draw("line", { x1: x(edge), x2: x(edge), y1: base, y2: base + 4, stroke: "var(--soft)" }),
    ),
  );
  made.append(
    draw("line", {
      x1: x(edges[0]),
      x2: x(edges[edges.length - 1]),
      y1: base,
      y2: base,
      stroke: "var(--soft)",
    }),
  );
  for (const tick of ticks(edges[0], edges[edges.length - 1], width / 85))
    made.append(
      words(x(tick), base + 16, trimmed(tick), {
        "text-anchor": "middle",
        "font-size": 10.5,
        class: "soft",
      }),
    );
  made.append(
    words(
      width - 10,
      height - 2,
      study().compare === "magnitude" ? "magnitude of a weight" : "value of a weight",
      { "text-anchor": "end", "font-size": 10.5, class: "soft" },
    ),
  );
  made.append(
    words(40, 9, "weights between thresholds (square-root scale)", {
      "font-size": 10.5,
      class: "soft",
    }),
  );
  return made;
}

function drawBars(made, parts, base) {
  const { own, x, edges } = parts;
  parts.bars = [];
  if (own.histogram) {
    const [counts] = own.histogram,
      most = Math.sqrt(Math.max(...counts, 1));
    counts.forEach((number, place) => {
      const tall = number > 0 ? Math.max(1, (Math.sqrt(number) / most) * (base - 14)) : 0;
      const bar = draw("rect", {
        x: x(edges[place]) + 0.5,
        y: base - tall,
        width: Math.max(0.8, x(edges[place + 1]) - x(edges[place]) - 1),
        height: tall,
        fill: "var(--reference)",
      });
      parts.bars.push(bar);
      made.append(bar);
    });
  }
}

function histogramSaid(own, edges) {
  if (!own.histogram) return "No histogram: these filters alone do not tell how the weights lie.";
  const most = own.histogram[0].indexOf(Math.max(...own.histogram[0]));
  return (
    "Histogram of the weights between thresholds; most, " +
    count(own.histogram[0][most]) +
    ", lie between " +
    trimmed(edges[most]) +
    " and " +
    trimmed(edges[most + 1])
  );
}

function removed(name, sweep, step, parts) {
  const { edges, own, x } = parts,
    alpha = sweep.alpha[step],
    one = study(),
    { removes } = filterAbout(name);
  const slack = 1e-6 * (edges[edges.length - 1] - edges[0]);
  parts.bars.forEach((bar, place) => {
    const gone =
      removes === "below"
        ? edges[place + 1] <= alpha + slack
        : removes === "above"
          ? edges[place] >= alpha - slack
          : false;
    bar.setAttribute("fill", gone ? "var(--fragile)" : "var(--reference)");
    bar.setAttribute("class", gone ? "gone" : "");
  });
  if (removes === "window") {
    const half = own.pulse || 0,
      from = Math.max(edges[0], alpha - half),
      to = Math.min(edges[edges.length - 1], alpha + half);
    parts.window.setAttribute("x", x(from));
    parts.window.setAttribute("width", Math.max(1, x(to) - x(from)));
  }
  parts.window.setAttribute("visibility", removes === "window" ? "visible" : "hidden");
  const ends = (side) =>
    sweep[side + "_low"][step] === null
      ? ""
      : " (" +
        shownPerformance(sweep[side + "_low"][step]) +
        " to " +
        shownPerformance(sweep[side + "_high"][step]) +
        ")";
  parts.says.textContent =
    capital(filterName(name)) +
    " at " +
    trimmed(alpha) +
    " removes " +
    count(sweep.zeroed[step]) +
    " of " +
    count(one.targets.size[state.target]) +
    " weights; " +
    one.performance +
    " " +
    shownPerformance(sweep.clean[step]) +
    ends("clean") +
    " clean, " +
    shownPerformance(sweep.adversarial[step]) +
    ends("adversarial") +
    " adversarial.";
}

function rest(parts) {
  for (const bar of parts.bars || []) {
    bar.setAttribute("fill", "var(--reference)");
    bar.setAttribute("class", "");
  }
  if (parts.window) parts.window.setAttribute("visibility", "hidden");
  parts.says.textContent =
    "Move over a curve, or step through it with the arrow keys: the shaded part of the histogram is what the filter removes there.";
}

function fillNumbers(box) {
  if (!box.open) return;
  const own = study().curves[state.target],
    body = clear(box.querySelector("div"));
  if (!own) return;
  const rows = Object.entries(own.filters).flatMap(([name, sweep]) =>
    sweep.alpha.map((alpha, step) =>
      el(
        "tr",
        {},
        el("td", {}, filterName(name)),
        ...[
          trimmed(alpha),
          count(sweep.zeroed[step]),
          percent(sweep.density[step]),
          shownPerformance(sweep.clean[step]),
          shownPerformance(sweep.adversarial[step]),
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
          ...["filter", "threshold", "removed", "kept", "clean", "adversarial"].map((text) =>
            el("th", { scope: "col" }, text),
          ),
        ),
      ),
      el("tbody", {}, ...rows),
    ),
  );
}

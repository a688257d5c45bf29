// One layer: responses to each filter over the threshold, above the histogram of its weights, so
// that a threshold shows what it removes.
const SIDES = [
  ["clean", "--clean", ""],
  ["adversarial", "--adversarial", "6 3"],
];

// The curves of the study.
function sides() {
  return SIDES.filter(([side]) => side in study().targets);
}

const DOTS = ["2 3", "1 6"]; // of the reference, and of what stands beside it

function curves(panel) {
  const title = el("h3", {}),
    about = el("p", { class: "small soft" }),
    trio = el("div", { class: "trio" });
  const charts = el("div", {}),
    says = el("p", { class: "says" }); // a chart says the same as its value
  const numbers = el(
    "details",
    { class: "screen" },
    el("summary", { class: "small" }, "The numbers"),
    el("div", { class: "scroller tall" }),
  );
  const by = el("div", { class: "small screen" });
  panel.append(title, about, trio, by, charts, says, numbers);
  numbers.addEventListener("toggle", () => fillNumbers(numbers));
  const update = () => {
    const data = study(),
      index = state.target;
    title.textContent = displayName(data.targets.name[index] || "");
    about.textContent = [
      data.targets.kind[index],
      (data.targets.shape[index] || "").replaceAll("x", "×"),
      count(data.targets.size[index] || 0) + " weights",
    ]
      .filter(Boolean)
      .join(" · ");
    clear(trio).append(...scoreNames().map((score) => scoreBox(score, scoreOf(index, score))));
    if (by.dataset.study !== String(state.study))
      clear(by).append(
        choice(
          "Responses as",
          "relative",
          [
            [true, "share of the unfiltered"],
            [false, data.performance],
          ],
          state.relative,
          (value) => show({ relative: value }, true),
          true,
        ),
      );
    by.dataset.study = state.study; // whoever moves through the choice keeps the focus
    drawCharts(charts, says);
    fillNumbers(numbers);
  };
  watch(["target", "filter", "relative"], update);
  onWidth(charts, () => drawCharts(charts, says));
}

function scoreBox(score, result) {
  return el(
    "div",
    {},
    capital(wordOf(score)),
    el("b", {}, formatSigned(result.value)),
    result.low === null ? "" : el("span", { class: "soft" }, span([result.low, result.high])),
    el("span", { class: SLUG[result.class] }, " " + result.class),
    result.beside === null ? "" : el("span", { class: "soft beside" }, besideOf(result)),
  );
}

function relative(value, base) {
  if (value === null || !base) return null;
  return study().better ? value / base : value ? base / value : null;
}

function reader(index, sweep) {
  const data = study();
  return (side, end) => {
    const own = sweep[side + (end || "")];
    if (!own) return null;
    if (!state.relative) return own;
    const base = data.scoring.base === "first" ? sweep[side][0] : data.targets[side][index];
    return own.map((value) => relative(value, base));
  };
}

function referenceOf(sweep, read) {
  const data = study(),
    kind = data.scoring.reference;
  if (kind === "random")
    return [
      ["random_clean", "clean, as many values at random"],
      ["random_adversarial", "adversarial, as many at random"],
    ]
      .filter(([key]) => sweep[key])
      .map(([key, text]) => [
        wordOf(text),
        read(key.slice(7) === "clean" ? "clean" : "adversarial", "").map((_, index) =>
          randomAt(sweep, key, index),
        ),
      ]);
  if (data.levels)
    return state.relative ? [["unfiltered network", sweep.density.map(() => 1)]] : [];
  if (!state.relative) return [["share of values kept", sweep.density]];
  const both = [
    ["unfiltered network", sweep.density.map(() => 1)],
    ["share of values kept", sweep.density],
  ];
  return kind === "base" ? both : both.reverse();
}

function randomAt(sweep, key, index) {
  const data = study(),
    side = key.slice(7),
    value = sweep[key][index];
  if (!state.relative) return value;
  return relative(
    value,
    data.scoring.base === "first" ? sweep[side][0] : data.targets[side][state.target],
  );
}

function drawCharts(box, says) {
  const data = study(),
    own = data.curves[state.target];
  clear(box);
  says.textContent = "";
  if (!own) {
    box.append(
      el(
        "p",
        { class: "soft" },
        "The responses of this target are in the study, not on this page.",
      ),
    );
    return;
  }
  const width = Math.max(260, box.clientWidth || 480),
    names = Object.keys(own.filters);
  const steps = own.filters[names[0]].alpha,
    edges = data.levels
      ? [0, Math.max(1, steps.length - 1)] // levels stand side by side, whatever they are
      : own.edges || steps.slice().sort((a, b) => a - b);
  const x = linear(edges[0], edges[edges.length - 1], 40, width - 10);
  const parts = { own, x, width, edges, cursors: [], says, bars: null };
  box.append(responseKeys(own));
  const height = names.length > 2 ? 124 : 160;
  const top = topOf(own);
  names.forEach((name, place) => {
    const levels = own.filters[name].alpha,
      following = own.filters[names[place + 1]];
    box.append(responses(name, own.filters[name], height, top, parts));
    if (data.levels && String(levels) !== String(following && following.alpha))
      box.append(levelAxis(parts, levels, filterInfo(name).unit));
  });
  if (!data.levels) box.append(weights(parts));
  resetRemoved(parts);
}

function responseKeys(own) {
  const first = Object.values(own.filters)[0],
    item = (colour, dash, text) =>
      el(
        "li",
        {},
        draw(
          "svg",
          { width: 26, height: 10, "aria-hidden": "true" },
          draw("line", {
            x1: 0,
            x2: 26,
            y1: 5,
            y2: 5,
            stroke: "var(" + colour + ")",
            "stroke-width": 2.2,
            "stroke-dasharray": dash,
          }),
        ),
        text,
      );
  const read = reader(state.target, first);
  return el(
    "ul",
    { class: "keys" },
    ...sides().map(([side, colour, dash]) => item(colour, dash, wordOf(side))),
    ...referenceOf(first, read).map(([text], index) => item("--reference", DOTS[index], text)),
    el("li", {}, "bands: " + 100 * study().scoring.level + "\u202f% intervals"),
  );
}

function topOf(own) {
  let top = state.relative || study().percent ? 1 : 0;
  for (const sweep of Object.values(own.filters)) {
    const read = reader(state.target, sweep);
    for (const [side] of sides())
      for (const end of ["", "_high"])
        for (const value of read(side, end) || []) if (value !== null && value > top) top = value;
  }
  return Math.min(top, state.relative ? 3 : Infinity);
}

function responses(name, sweep, height, top, parts) {
  const { x, width } = parts,
    y = linear(0, top * 1.04, height - 6, 20),
    xs = sweep.alpha.map((alpha, step) => x(study().levels ? step : alpha));
  const element = draw("svg", {
    width,
    height,
    tabindex: 0,
    role: "slider",
    "aria-orientation": "horizontal",
    "aria-valuemin": 1,
    "aria-valuemax": sweep.alpha.length,
    "aria-valuenow": 1,
    "aria-valuetext": "no " + (study().levels ? "level" : "threshold") + " chosen",
    "data-filter": name,
    "aria-label": filterName(name) + ": " + responsesSentence(sweep),
  });
  const chart = {
    element,
    name,
    sweep,
    xs,
    y: (value) => (value === null ? null : Math.max(12, y(value))),
    read: reader(state.target, sweep),
    backwards: !study().levels && sweep.alpha[0] > sweep.alpha[sweep.alpha.length - 1],
    foot: height - 4,
  };
  for (const tick of ticks(0, top, 3)) {
    const percents = state.relative || study().percent;
    element.append(
      draw("line", { x1: 40, x2: width - 10, y1: y(tick), y2: y(tick), stroke: "var(--faint)" }),
      svgText(35, y(tick) + 4, percents ? Math.round(100 * tick) + "\u202f%" : formatNumber(tick), {
        "text-anchor": "end",
        "font-size": 10.5,
        class: "soft",
      }),
    );
  }
  element.append(svgText(40, 11, filterName(name), { "font-size": 12, "font-weight": 650 }));
  const look = { class: "soft", "font-size": 10.5, "text-anchor": "end" };
  if (width >= 360) element.append(svgText(width - 10, 11, filterInfo(chart.name).sweep, look));
  drawResponses(chart);
  thresholdMoves(chart, parts);
  return element;
}

function responsesSentence(sweep) {
  const last = sweep.clean.length - 1;
  const ends = sides().map(
    ([side]) =>
      wordOf(side) + " " + formatMetric(sweep[side][0]) + " and " + formatMetric(sweep[side][last]),
  );
  return (
    "at the first " +
    (study().levels ? "level" : "threshold") +
    " and at the last: " +
    ends.join("; ") +
    "."
  );
}

// The reference, the two curves, and their intervals behind them.
function drawResponses({ element, sweep, xs, y, read }) {
  const path = (values, look) =>
    element.append(
      draw("path", {
        d: line(values.map((value, step) => [xs[step], y(value)])),
        fill: "none",
        ...look,
      }),
    );
  for (const [index, [, reference]] of referenceOf(sweep, read).entries())
    path(reference, {
      stroke: "var(--reference)",
      "stroke-width": 1.6,
      "stroke-dasharray": DOTS[index],
    });
  for (const [side, colour, dash] of sides()) {
    const low = read(side, "_low"),
      high = read(side, "_high"),
      fill = "var(" + colour + ")";
    if (low && high)
      element.append(draw("path", { d: area(xs, low.map(y), high.map(y)), fill, opacity: 0.16 }));
    path(read(side), {
      stroke: fill,
      "stroke-width": 2,
      "stroke-dasharray": dash || null,
      "stroke-linejoin": "round",
    });
  }
}

// A line at one threshold, moved by pointer or arrow keys.
function thresholdMoves({ element, name, sweep, xs, y, read, backwards, foot }, parts) {
  const cursor = draw("line", { y1: 16, y2: foot, stroke: "var(--ink)", visibility: "hidden" });
  const shown = sides();
  const dots = shown.map(([, colour]) =>
    draw("circle", {
      r: 3.6,
      fill: "var(" + colour + ")",
      stroke: "var(--ground)",
      visibility: "hidden",
    }),
  );
  element.append(cursor, ...dots);
  let step = -1;
  const at = (index) => {
    step = Math.max(0, Math.min(sweep.alpha.length - 1, index));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, xs[step]);
    cursor.setAttribute("visibility", "visible");
    shown.forEach(([side], which) => {
      const value = y(read(side)[step]);
      dots[which].setAttribute("visibility", value === null ? "hidden" : "visible");
      if (value === null) return;
      dots[which].setAttribute("cx", xs[step]);
      dots[which].setAttribute("cy", value);
    });
    showRemoved(name, sweep, step, parts);
    element.setAttribute("aria-valuenow", step + 1);
    element.setAttribute("aria-valuetext", parts.says.textContent);
  };
  const leave = () => {
    for (const each of [cursor, ...dots]) each.setAttribute("visibility", "hidden");
    resetRemoved(parts);
  };
  element.addEventListener("pointermove", (event) => {
    const distances = xs.map((x) =>
      Math.abs(x - event.clientX + element.getBoundingClientRect().left),
    );
    at(distances.indexOf(Math.min(...distances)));
  });
  element.addEventListener("pointerleave", leave);
  element.addEventListener("blur", leave);
  element.addEventListener("keydown", (event) => {
    const sense = backwards ? -1 : 1,
      last = sweep.alpha.length - 1,
      ends = backwards ? { Home: last, End: 0 } : { Home: 0, End: last };
    const move = { ArrowRight: sense, ArrowUp: sense, ArrowLeft: -sense, ArrowDown: -sense }[
      event.key
    ];
    if (event.key in ends) at(ends[event.key]);
    else if (move) at(step < 0 ? (move > 0 ? 0 : last) : step + move);
    else return;
    event.preventDefault();
  });
}

// The first screen: what the classes mean, with a small curve each, and all scores in one picture.
const CURVE = { width: 104, height: 52, left: 4, right: 100, top: 14 };

// What the dotted line is, and how curves of the three classes run beside it.
const CURVES = {
  base: {
    reference: [0.3, 0.3],
    fragile: [0.3, 0.34, 0.8, 0.95],
    robust: [0.3, 0.12, 0.48, 0.3],
    antifragile: [0.3, 0.28, 0.02, 0.05],
  },
  density: {
    reference: [0.1, 0.95],
    fragile: [0.1, 0.75, 0.95, 0.97],
    robust: [0.1, 0.36, 0.69, 0.95],
    antifragile: [0.1, 0.05, 0.1, 0.6],
  },
};

function meanings(data) {
  const curves = CURVES[data.scoring.reference === "base" ? "base" : "density"];
  return [
    el("p", { class: "small soft" }, data.meanings.intro),
    el(
      "ul",
      { class: "meanings" },
      ...data.meanings.lines.map(([kind, text]) =>
        el(
          "li",
          {},
          smallCurve(curves, kind),
          el("div", {}, badge(kind), " ", el("b", { class: kind }, capital(kind)), ": " + text),
        ),
      ),
    ),
  ];
}

function smallCurve(curves, kind) {
  const { width, height, left, right, top } = CURVE,
    y = (share) => top + share * (height - top - 4),
    x = (index, number) => left + ((right - left) * index) / (number - 1);
  const points = curves[kind].map((share, index) => [x(index, 4), y(share)]);
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = points;
  return draw(
    "svg",
    { width, height, "aria-hidden": "true", class: "smallcurve" },
    draw("path", {
      d: `M${left},${top - 8}V${height - 2}H${right}`,
      fill: "none",
      stroke: "var(--rule)",
    }),
    draw("path", {
      d: line(curves.reference.map((share, index) => [x(index, 2), y(share)])),
      stroke: "var(--reference)",
      "stroke-dasharray": "2 3",
      "stroke-width": 1.5,
    }),
    draw("path", {
      d: `M${x0},${y0}C${x1},${y1} ${x2},${y2} ${x3},${y3}`,
      fill: "none",
      stroke: "var(--" + kind + ")",
      "stroke-width": 2.5,
    }),
  );
}

const PROFILE = { height: 236, top: 30, bottom: 36, left: 40, right: 14 },
  MOST_MARKS = 150; // of more targets, dots without intervals

// Every target in the order of the data: high is antifragile, low is fragile.
function profile() {
  const box = el("div", { class: "profile" });
  const redraw = () => {
    clear(box);
    if (hasScores(state.score)) box.append(profilePicture(box.clientWidth || 700));
  };
  watch(["score", "filter", "search"], redraw);
  onWidth(box, redraw);
  return box;
}

function profilePicture(width) {
  const data = study(),
    own = data.scores[state.filter][state.score],
    { height, top, bottom, left, right } = PROFILE;
  const word = capital(wordOf(state.score)) + " score of every target";
  const element = draw("svg", {
    width,
    height,
    role: "img",
    "data-save": word,
    "aria-label": word + ", in the order of the data. " + data.headline,
  });
  const values = [...own.low, ...own.high, ...own.value].filter((value) => value !== null),
    tolerance = data.scoring.tolerance;
  const low = Math.min(-2 * tolerance, ...least(values)),
    high = Math.max(2 * tolerance, ...most(values));
  const y = linear(low, high, height - bottom, top),
    number = data.targets.name.length,
    x = linear(-0.5, number - 0.5, left, width - right);
  profileAxis(element, { x0: left, x1: width - right, y, low, high, tolerance });
  if (number > MOST_MARKS) element.append(...dots(own, x, y));
  else element.append(...own.value.flatMap((_, index) => profileMark(index, x(index), y)));
  element.append(...extremeNames(own, x, y, width), ...ends(width, height));
  element.append(surface(element, x, number));
  return element;
}

// Spreading thousands of values over the arguments of one call would be too many.
function least(values) {
  return values.length ? [values.reduce((a, b) => Math.min(a, b))] : [];
}
function most(values) {
  return values.length ? [values.reduce((a, b) => Math.max(a, b))] : [];
}

function profileAxis(element, { x0, x1, y, low, high, tolerance }) {
  const band = { x: x0, width: x1 - x0, y: y(tolerance), height: y(-tolerance) - y(tolerance) };
  element.append(draw("rect", { ...band, fill: "var(--zone)" }));
  const steps = ticks(low, high, 4),
    digits = steps.some((tick) => Number(tick.toFixed(1)) !== tick) ? 2 : 1;
  for (const tick of steps)
    element.append(
      draw("line", {
        x1: x0,
        x2: x1,
        y1: y(tick),
        y2: y(tick),
        stroke: tick ? "var(--faint)" : "var(--soft)",
      }),
      svgText(x0 - 6, y(tick) + 4, tick ? formatSigned(tick, digits) : "0", {
        "text-anchor": "end",
        class: "soft",
        "font-size": 11,
      }),
    );
  const label = { "font-size": 12, "font-weight": 600, "text-anchor": "middle" };
  element.append(
    svgText((x0 + x1) / 2, 14, "↑ antifragile", { ...label, class: "name-antifragile" }),
    svgText((x0 + x1) / 2, PROFILE.height - 8, "↓ fragile", { ...label, class: "name-fragile" }),
  );
}

function ends(width, height) {
  const look = { class: "soft", "font-size": 11 };
  return [
    svgText(PROFILE.left, height - 8, "first layer", look),
    svgText(width - PROFILE.right, height - 8, "last layer", { ...look, "text-anchor": "end" }),
  ];
}

function profileMark(index, x, y) {
  const result = scoreOf(index);
  if (result.value === null || !isFound(index)) return [];
  const stem = result.low === null ? [result.value, result.value] : [result.low, result.high];
  return [
    draw("line", {
      x1: x,
      x2: x,
      y1: y(stem[0]),
      y2: y(stem[1]),
      stroke: "var(--" + SLUG[result.class] + ")",
      "stroke-width": 2,
    }),
    mark(result.class, x, y(result.value), 5),
  ];
}

// One path for each class: a page of thousands of channels stays quick.
function dots(own, x, y) {
  const paths = {};
  own.value.forEach((value, index) => {
    const kind = study().classes[own.class[index]];
    if (value !== null && isFound(index))
      paths[kind] = (paths[kind] || "") + `M${x(index).toFixed(1)},${y(value).toFixed(1)}h0`;
  });
  return Object.entries(paths).map(([kind, d]) =>
    draw("path", {
      d,
      stroke: "var(--" + SLUG[kind] + ")",
      "stroke-width": 4,
      "stroke-linecap": "round",
      opacity: 0.7,
    }),
  );
}

// The lowest and the highest target by name.
function extremeNames(own, x, y, width) {
  const known = own.value
    .map((value, index) => [value, index])
    .filter(([value, index]) => value !== null && isFound(index));
  known.sort((a, b) => a[0] - b[0]);
  const [lowest, highest] = [known[0], known.at(-1)];
  const name = ([, index], end) =>
    svgText(
      Math.min(
        width - PROFILE.right,
        Math.max(PROFILE.left, x(index) + (x(index) > width / 2 ? -9 : 9)),
      ),
      end === "low"
        ? y(own.low[index] ?? own.value[index]) + 13
        : y(own.high[index] ?? own.value[index]) - 7,
      short(displayName(study().targets.name[index]), 24),
      {
        "font-size": 12,
        "font-weight": 600,
        "text-anchor": x(index) > width / 2 ? "end" : "start",
      },
    );
  return known.length > 1 ? [name(lowest, "low"), name(highest, "high")] : [];
}

// What the pointer is on; the list of layers below does the same for the keyboard.
function surface(element, x, number) {
  const nearest = (event) => {
    const at = event.clientX - element.getBoundingClientRect().left,
      index = Math.round((at - x(0)) / (x(1) - x(0) || 1));
    return Math.max(0, Math.min(number - 1, index));
  };
  const tipOf = (event) => {
    const index = nearest(event);
    tip([displayName(study().targets.name[index]), scoreSentence(scoreOf(index))], event);
  };
  return draw("rect", {
    x: PROFILE.left,
    y: 0,
    width: x(number - 0.5) - PROFILE.left,
    height: PROFILE.height,
    fill: "transparent",
    class: "surface",
    onpointermove: tipOf,
    onpointerleave: untip,
    onclick: (event) => {
      show({ target: nearest(event) });
      document.getElementById("panel").scrollIntoView({ block: "nearest" });
    },
  });
}

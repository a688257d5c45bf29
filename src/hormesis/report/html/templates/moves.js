// Scores that move from epoch to epoch, or from magnitude to magnitude: by hand or by themselves.
const STEP_TIME = 1100; // milliseconds from one study to the next
const MOVES_TOP = 26; // pixels above the first row
const LETTER = 7.5; // pixels that a letter of a name takes
const NARROW = 560; // pixels; below, names stand above their rows

function movingScores(all) {
  if (!Object.keys(all.moves).length) return null;
  const last = all.studies.length - 1,
    slider = el("input", { type: "range", id: "place", min: 0, max: last, step: 1 }),
    says = el("output", { for: "place", class: "small soft" }),
    frame = el("div", { class: "moves" });
  const go = (place) => {
    slider.value = place;
    slider.setAttribute("aria-valuetext", studyName(all.studies[place]));
    says.textContent = placeSentence(all, place);
    movePlace(frame, all, place);
  };
  const player = playing(slider, go),
    redraw = () => {
      clear(frame).append(movesPicture(all, frame.clientWidth || 600));
      go(Number(slider.value));
    };
  watch(["score"], () => {
    if (!player.running()) slider.value = state.study;
    redraw();
  });
  onWidth(frame, redraw);
  const label = all.over === "epochs" ? "Epoch" : "Magnitude of the attack";
  return el(
    "div",
    { id: "moves" },
    el("h3", {}, "How the scores move"),
    el("p", { class: "small soft" }, movesIntro(all)),
    el("div", { class: "tools" }, player.button, el("label", { for: "place" }, label), slider),
    says,
    frame,
  );
}

// A slider that a button moves from study to study. The rest of the page follows where it stops.
function playing(slider, go) {
  let timer = 0;
  const last = Number(slider.max);
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const settle = () => {
    stop();
    show({ study: Number(slider.value) });
  };
  const play = button("Play", () => {
    if (timer) return settle();
    if (Number(slider.value) === last) go(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      go(Number(slider.value) + 1);
      if (Number(slider.value) === last) settle();
    }, STEP_TIME);
  });
  slider.addEventListener("input", () => {
    stop();
    go(Number(slider.value));
  });
  slider.addEventListener("change", settle);
  // Whoever wants no motion moves the slider, and marks jump.
  play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return { button: play, running: () => timer !== 0 };
}

function movesIntro(all) {
  const shown = all.moves[comparedScore(all)].length,
    most = shown < all.matches.length ? "The " + shown + " targets that move most. " : "";
  return (
    most +
    "A mark is the score at the chosen place of the slider, a dot that of every other study; the line spans them all, and the band counts as robust."
  );
}

// What the slider shows, in words: the study, its unfiltered network, and the classes.
function placeSentence(all, place) {
  const counts = new Map();
  for (const [, , codes] of all.moves[comparedScore(all)]) {
    const kind = study().classes[codes[place]];
    counts.set(kind, (counts.get(kind) || 0) + 1);
  }
  const base = ["clean", "adversarial"]
    .filter((kind) => all.base[kind] && all.base[kind][place] !== null)
    .map((kind) => formatMetric(all.base[kind][place]) + " " + kind);
  return (
    capital(studyName(all.studies[place])) +
    ": " +
    [...counts].map(([kind, number]) => number + " " + kind).join(", ") +
    (base.length ? "; unfiltered " + base.join(", ") : "") +
    "."
  );
}

function movesScale(rows, left, right) {
  const tolerance = study().scoring.tolerance,
    values = rows.flatMap(([, values]) => values.filter((value) => value !== null));
  const low = Math.min(-2 * tolerance, ...values),
    high = Math.max(2 * tolerance, ...values),
    margin = 0.03 * (high - low);
  return { low, high, x: linear(low - margin, high + margin, left, right) };
}

function movesPicture(all, width) {
  const rows = all.moves[comparedScore(all)],
    narrow = width < NARROW,
    step = narrow ? 36 : 20,
    longest = Math.max(...rows.map(([match]) => displayName(match).length)),
    left = narrow ? 0 : Math.min(LETTER * longest, 0.3 * width),
    height = MOVES_TOP + rows.length * step + 6;
  const scale = movesScale(rows, left + 10, width - 14);
  const element = draw("svg", { width, height, role: "img", "aria-label": "Moving scores" });
  element.append(...movesAxis(scale, height, narrow ? 4 : 8));
  rows.forEach(([match, values], row) => {
    const y = MOVES_TOP + (row + 1) * step - 10,
      name = short(displayName(match), Math.floor((narrow ? width : left) / LETTER)),
      anchor = narrow ? "start" : "end";
    element.append(
      svgText(left, narrow ? y - 12 : y + 4, name, { "text-anchor": anchor }),
      ...movesRow(values, scale.x, y, row),
    );
  });
  return element;
}

function movesAxis({ low, high, x }, height, most) {
  const tolerance = study().scoring.tolerance,
    width = x(tolerance) - x(-tolerance),
    band = { x: x(-tolerance), y: MOVES_TOP, width, height: height - MOVES_TOP };
  return [
    draw("rect", { ...band, fill: "var(--zone)" }),
    ...ticks(low, high, most).flatMap((tick) => [
      draw("line", { x1: x(tick), x2: x(tick), y1: MOVES_TOP, y2: height, stroke: "var(--rule)" }),
      svgText(x(tick), MOVES_TOP - 8, formatNumber(tick), {
        class: "soft",
        "text-anchor": "middle",
        "font-size": 11,
      }),
    ]),
  ];
}

// The scores of one target in all studies, and the mark that moves over them.
function movesRow(values, x, y, row) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return [];
  const [from, to] = [x(Math.min(...known)), x(Math.max(...known))],
    moving = draw("path", { class: "moving", "data-row": row });
  moving.at = values.map((value) => (value === null ? null : [x(value), y]));
  return [
    draw("line", { x1: from, x2: to, y1: y, y2: y, stroke: "var(--reference)" }),
    ...known.map((value) => draw("circle", { cx: x(value), cy: y, r: 2, fill: "var(--soft)" })),
    moving,
  ];
}

// Move the marks; the style sheet lets them glide, unless no motion is wanted.
function movePlace(frame, all, place) {
  const rows = all.moves[comparedScore(all)];
  const drawn = frame.querySelector("svg");
  drawn?.setAttribute("aria-label", placeSentence(all, place));
  for (const moving of frame.querySelectorAll(".moving")) {
    const [, , codes] = rows[moving.dataset.row],
      at = moving.at[place],
      look = mark(study().classes[codes[place]], 0, 0, 6);
    moving.style.visibility = at ? "visible" : "hidden";
    for (const name of ["d", "fill", "stroke", "stroke-width", "vector-effect"]) {
      if (look.hasAttribute(name)) moving.setAttribute(name, look.getAttribute(name));
      else moving.removeAttribute(name);
    }
    if (at) moving.style.transform = `translate(${at[0]}px, ${at[1]}px) scale(6)`;
  }
}

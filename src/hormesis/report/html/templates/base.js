"use strict";
// Nothing here writes markup: names come from networks and files, and stay text.
const SVG = "http://www.w3.org/2000/svg";
const SCORES = ["clean", "adversarial", "difference"];

const shared = JSON.parse(document.getElementById("shared").textContent);
// Letters, names of styles and meanings of the classes.
const SHORT = {},
  SLUG = {},
  MEANING = {};
for (const [name, letter, slug, meaning] of shared.classes) {
  SHORT[name] = letter;
  SLUG[name] = slug;
  MEANING[name] = meaning;
}
const opened = new Map();
const state = { study: 0, target: 0, score: "adversarial", filter: "", relative: true };
const watchers = [];

function study() {
  if (!opened.has(state.study)) {
    const block = document.getElementById("study-" + state.study);
    opened.set(state.study, block ? JSON.parse(block.textContent) : null);
  }
  return opened.get(state.study);
}

// Change what is shown; whoever watches one of the changed keys draws again.
function show(changes, quiet) {
  const before = state.study;
  const keys = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  if (before !== state.study) {
    const name = opened.get(before) && opened.get(before).targets.name[state.target];
    const place = study().targets.name.indexOf(name);
    state.target = place < 0 ? Math.max(0, firstTelling()) : place;
    if (!(state.filter in study().scores)) state.filter = study().main;
  }
  if (!keys.length) return;
  if (!quiet) remember();
  for (const [wanted, draw] of watchers) if (wanted.some((key) => keys.includes(key))) draw();
}

function watch(keys, draw) {
  watchers.push([[...keys, "study"], draw]);
  draw();
}

// The address holds the view, so that reading the page again keeps it.
function remember() {
  const words = new URLSearchParams();
  words.set("study", state.study);
  words.set("target", study().targets.name[state.target] || "");
  words.set("score", state.score);
  words.set("filter", state.filter);
  try {
    history.replaceState(null, "", "#" + words);
  } catch {
    /* some viewers forbid it */
  }
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const number = Number(words.get("study") || 0);
  if (number > 0 && number < shared.studies.length) state.study = number;
  const one = study();
  if (!one) return;
  state.filter = words.get("filter") in one.scores ? words.get("filter") : one.main;
  state.score = SCORES.includes(words.get("score"))
    ? words.get("score")
    : defined("adversarial")
      ? "adversarial"
      : "clean";
  const place = one.targets.name.indexOf(words.get("target"));
  state.target = place < 0 ? Math.max(0, firstTelling()) : place;
}

function defined(score) {
  return study().scores[study().main][score].value.some((value) => value !== null);
}

// The target to open first: the lowest score, which is what a reader looks for.
function firstTelling() {
  const one = study(),
    values = one.scores[one.main][defined("adversarial") ? "adversarial" : "clean"].value;
  let best = -1;
  values.forEach((value, place) => {
    if (value !== null && (best < 0 || value < values[best])) best = place;
  });
  return best;
}

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function draw(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  if (name === "svg" && Number(attributes.width))
    made.setAttribute("viewBox", "0 0 " + attributes.width + " " + attributes.height); // paper may be narrower
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function words(x, y, text, attributes) {
  return draw("text", { x, y, "font-size": 12, ...attributes }, String(text));
}
function clear(node) {
  node.replaceChildren();
  return node;
}
function spelled(name) {
  return name.replace(/\.weight$/, "");
}
function filterAbout(name) {
  return (study() && study().filters[name]) || { label: name };
}
function filterName(name) {
  return filterAbout(name).label;
}

// The end of a long name tells targets apart.
function short(name, most) {
  return name.length <= most ? name : "…" + name.slice(1 - most);
}

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(digits === undefined ? 3 : digits).replace("-", "−");
}
function signed(value, digits) {
  return value === null || value === undefined
    ? "–"
    : (value < 0 ? "" : "+") + number(value, digits === undefined ? 2 : digits);
}
function count(value) {
  return value.toLocaleString("en").replaceAll(",", "\u202f");
}
function large(value) {
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ]) {
    if (value >= size) return (value / size).toPrecision(3) + "\u202f" + unit;
  }
  return String(value);
}
function percent(value) {
  return (100 * value).toFixed(value > 0 && value < 0.001 ? 2 : 1) + "\u202f%";
}
function shownPerformance(value) {
  return value === null ? "–" : study().percent ? percent(value) : value.toPrecision(4);
}

function scoreOf(place, score, filter) {
  const one = study(),
    own = one.scores[filter || state.filter][score || state.score];
  return {
    value: own.value[place],
    low: own.low[place],
    high: own.high[place],
    class: one.classes[own.class[place]],
    point: one.classes[own.point[place]],
    beside: own.beside && own.says[place] ? own.beside[place] : null,
    says: own.says ? own.says[place] : "",
  };
}

// The other reading of a score: a number and a word, never a class.
function besideOf(found, digits) {
  return found.beside === null
    ? ""
    : "by " + study().beside + " " + signed(found.beside, digits) + ", " + found.says;
}

function said(found) {
  if (found.value === null) return found.class;
  const ends =
    found.low === null ? "" : " (" + signed(found.low) + " to " + signed(found.high) + ")";
  return (
    signed(found.value) +
    ends +
    ", " +
    found.class +
    (found.class === "undecided" ? " (estimate: " + found.point + ")" : "") +
    (found.beside === null ? "" : "; " + besideOf(found))
  );
}

// The mark of a class has a shape of its own: colour never says anything alone.
const SHAPES = {
  fragile: "M-1.1,-0.85H1.1L0,1.1Z",
  antifragile: "M-1.1,0.85H1.1L0,-1.1Z",
  robust: "M-0.88,-0.88H0.88V0.88H-0.88Z",
};
const OUTLINES = {
  undecided: "M-0.9,0A0.9,0.9,0,1,1,0.9,0A0.9,0.9,0,1,1,-0.9,0Z",
  "antifragile (unconfirmed)": "M-1,0.8H1L0,-1Z",
  masked: "M-0.8,-0.8H0.8V0.8H-0.8Z",
  "at chance": "M-1,0H1",
};
const CROSS = "M-0.75,-0.75L0.75,0.75M-0.75,0.75L0.75,-0.75";

function mark(kind, x, y, r) {
  const colour =
    kind in SLUG && kind !== "undefined" && kind !== "untested" ? SLUG[kind] : "undecided";
  const look =
    kind in SHAPES
      ? { fill: "var(--" + colour + ")" }
      : {
          fill: "var(--ground)",
          stroke: "var(--" + colour + ")",
          "stroke-width": 1.8,
          "vector-effect": "non-scaling-stroke",
        };
  return draw("path", {
    d: SHAPES[kind] || OUTLINES[kind] || CROSS,
    transform: `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${r})`,
    ...look,
  });
}

function badge(kind) {
  return draw(
    "svg",
    { width: 14, height: 14, class: "mark", "aria-hidden": "true" },
    mark(kind, 7, 7, 5.2),
  );
}

// What the pointer is on, in words; also for screen readers.
function tip(lines, event) {
  const box = document.getElementById("tip");
  clear(box);
  lines.forEach((line, place) => box.append(place ? el("div", {}, line) : el("b", {}, line)));
  box.hidden = false;
  const about = event.currentTarget.getBoundingClientRect();
  const x = event.clientX || about.left + Math.min(about.width, 200) / 2,
    y = event.clientY || about.bottom;
  const size = box.getBoundingClientRect();
  box.style.left = Math.max(6, Math.min(x + 14, innerWidth - size.width - 8)) + "px";
  box.style.top =
    (y + 18 + size.height > innerHeight ? Math.max(6, y - size.height - 12) : y + 18) + "px";
}
function untip() {
  document.getElementById("tip").hidden = true;
}

function section(id, heading, intro) {
  const made = el(
    "section",
    { id, "aria-labelledby": id + "-h" },
    el("h2", { id: id + "-h" }, heading),
  );
  if (intro) made.append(el("p", { class: "intro" }, intro));
  return made;
}

// Draw again on another width; on none, as while a page is hidden, there is nothing to draw on.
function onWidth(box, again) {
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth < 40 || Math.abs(box.clientWidth - width) < 3) return;
    width = box.clientWidth;
    again();
  }).observe(box);
}

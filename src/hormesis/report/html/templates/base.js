"use strict";
// Nothing here writes markup: names come from networks and files, and stay text.
const SVG = "http://www.w3.org/2000/svg";

const shared = JSON.parse(document.getElementById("shared").textContent);
// Letters, names of styles, meanings and marks of the classes. The mark of a class has a shape of
// its own: colour never says anything alone.
const SHORT = {},
  SLUG = {},
  MEANING = {},
  SHAPE = {},
  FILLED = new Set();
for (const [name, letter, slug, meaning, shape, filled] of shared.classes) {
  SHORT[name] = letter;
  SLUG[name] = slug;
  MEANING[name] = meaning;
  SHAPE[name] = shape;
  if (filled) FILLED.add(name);
}
const parsedStudies = new Map();
const state = { study: 0, target: 0, score: "adversarial", filter: "", relative: true, search: "" };
const watchers = [];

// The scores of the study: the clean one alone, if there was no attack.
function scoreNames() {
  return Object.keys(study().scores[study().main]);
}

// What a score or a response is called: that on a second data set is no adversarial one.
function wordOf(score) {
  return study().given ? score.replace("adversarial", "stressed") : score;
}

function mainScore() {
  return hasScores("adversarial") ? "adversarial" : "clean";
}

function study() {
  if (!parsedStudies.has(state.study)) {
    const block = document.getElementById("study-" + state.study);
    parsedStudies.set(state.study, block ? JSON.parse(block.textContent) : null);
  }
  return parsedStudies.get(state.study);
}

// Change what is shown; whoever watches one of the changed keys draws again.
function show(changes, quiet) {
  const before = state.study;
  const keys = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  if (before !== state.study) {
    const name = parsedStudies.get(before) && parsedStudies.get(before).targets.name[state.target];
    const index = study().targets.name.indexOf(name);
    state.target = index < 0 ? Math.max(0, firstTelling()) : index;
    if (!(state.filter in study().scores)) state.filter = study().main;
    if (!scoreNames().includes(state.score)) state.score = mainScore();
  }
  if (!keys.length) return;
  if (!quiet) remember();
  for (const [watched, draw] of watchers) if (watched.some((key) => keys.includes(key))) draw();
  reachScrollers();
}

function watch(keys, draw) {
  watchers.push([[...keys, "study"], draw]);
  draw();
}

// The address holds the view, so that reading the page again keeps it.
function remember() {
  const parameters = new URLSearchParams();
  parameters.set("study", state.study);
  parameters.set("target", study().targets.name[state.target] || "");
  parameters.set("score", state.score);
  parameters.set("filter", state.filter);
  try {
    history.replaceState(null, "", "#" + parameters);
  } catch {
    /* some viewers forbid it */
  }
}

function recall() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const number = Number(parameters.get("study") ?? shared.several?.chosen ?? 0);
  if (number > 0 && number < shared.studies.length) state.study = number;
  const data = study();
  if (!data) return;
  state.filter = parameters.get("filter") in data.scores ? parameters.get("filter") : data.main;
  state.score = scoreNames().includes(parameters.get("score"))
    ? parameters.get("score")
    : mainScore();
  const index = data.targets.name.indexOf(parameters.get("target"));
  state.target = index < 0 ? Math.max(0, firstTelling()) : index;
}

function hasScores(score) {
  return (
    scoreNames().includes(score) &&
    study().scores[study().main][score].value.some((value) => value !== null)
  );
}

// The target to open first: the lowest score, which is what a reader looks for.
function firstTelling() {
  const data = study(),
    values = data.scores[data.main][mainScore()].value;
  let best = -1;
  values.forEach((value, index) => {
    if (value !== null && (best < 0 || value < values[best])) best = index;
  });
  return best;
}

function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  if (name === "svg" && Number(attributes.width))
    element.setAttribute("viewBox", "0 0 " + attributes.width + " " + attributes.height); // paper may be narrower
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function svgText(x, y, text, attributes) {
  return draw("text", { x, y, "font-size": 12, ...attributes }, String(text));
}
function clear(node) {
  node.replaceChildren();
  return node;
}
function displayName(name) {
  return name.replace(/\.weight$/, "");
}
function filterInfo(name) {
  return (study() && study().filters[name]) || { label: name };
}
// Whether a target is what the search asks for: each word is in its name or kind, or begins a word
// of its class, so that "fragile" finds nothing antifragile.
function isFound(index) {
  const terms = state.search.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (!terms.length) return true;
  const { name, kind } = study().targets,
    text = (name[index] + " " + kind[index]).toLowerCase(),
    words = scoreOf(index).class.split(/[\s()]+/);
  return terms.every((term) => text.includes(term) || words.some((word) => word.startsWith(term)));
}

// A field of the one search, which all pictures and the table follow.
function searchField(id) {
  const find = el("input", {
    type: "search",
    id,
    placeholder: "conv, linear, fragile …",
    oninput: () => show({ search: find.value }, true),
  });
  watch(["search"], () => {
    if (find.value !== state.search) find.value = state.search;
  });
  return [el("label", { for: id }, "Search"), find];
}

// A filter or a replacement as the subject of a sentence.
function stressName(name) {
  return filterName(name) + (study().levels ? "" : " filter");
}
function filterName(name) {
  return filterInfo(name).label;
}

// The end of a long name tells targets apart.
function short(name, most) {
  return name.length <= most ? name : "…" + name.slice(1 - most);
}

// Names cut to so many letters: of ends that are alike, the beginnings have to tell them apart.
function shortAll(names, most) {
  const ends = names.map((name) => short(name, most));
  if (new Set(ends).size === new Set(names).size) return ends;
  const parts = names.map((name) => name.split("."));
  let same = 0;
  while (parts.every((own) => own.length > same + 1 && own[same] === parts[0][same])) same++;
  return parts.map((own) => {
    const rest = own.slice(same).join("."),
      half = Math.floor((most - 1) / 2);
    return rest.length <= most ? rest : rest.slice(0, most - 1 - half) + "…" + rest.slice(-half);
  });
}

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(digits === undefined ? 3 : digits).replace("-", "−");
}
function formatSigned(value, digits) {
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
function formatMetric(value) {
  return value === null ? "–" : study().percent ? percent(value) : value.toPrecision(4);
}

function scoreOf(index, score, filter) {
  const data = study(),
    own = data.scores[filter || state.filter][score || state.score];
  return {
    value: own.value[index],
    low: own.low[index],
    high: own.high[index],
    class: data.classes[own.class[index]],
    point: data.classes[own.point[index]],
    beside: own.beside && own.says[index] ? own.beside[index] : null,
    says: own.says ? own.says[index] : "",
  };
}

// The other reading of a score: a number and a word, never a class.
function besideOf(result, digits) {
  return result.beside === null
    ? ""
    : "by " + study().beside + " " + formatSigned(result.beside, digits) + ", " + result.says;
}

function scoreSentence(result) {
  if (result.value === null) return result.class;
  const ends =
    result.low === null
      ? ""
      : " (" + formatSigned(result.low) + " to " + formatSigned(result.high) + ")";
  return (
    formatSigned(result.value) +
    ends +
    ", " +
    result.class +
    (result.class === "undecided" ? " (estimate: " + result.point + ")" : "") +
    (result.beside === null ? "" : "; " + besideOf(result))
  );
}

function mark(kind, x, y, r) {
  const colour = "var(--" + SLUG[kind] + ")";
  const outlined = {
    fill: "var(--ground)",
    stroke: colour,
    "stroke-width": 1.8,
    "vector-effect": "non-scaling-stroke",
  };
  return draw("path", {
    d: SHAPE[kind],
    transform: `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${r})`,
    ...(FILLED.has(kind) ? { fill: colour } : outlined),
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
  lines.forEach((line, index) => box.append(index ? el("div", {}, line) : el("b", {}, line)));
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
  const box = el(
    "section",
    { id, "aria-labelledby": id + "-h" },
    el("h2", { id: id + "-h" }, heading),
  );
  if (intro) box.append(el("p", { class: "intro" }, intro));
  return box;
}

// What scrolls must be reached by the keyboard, unless it holds something that is: a box whose
// contents fit gets no stop of its own.
function reachScrollers() {
  for (const box of document.querySelectorAll(".scroller, pre")) {
    const overflows =
      box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    if (!overflows || box.querySelector("a, button, input, select, [tabindex='0']")) {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      continue;
    }
    const about = box.closest("section")?.querySelector("h2");
    box.setAttribute("tabindex", 0);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", (about ? about.textContent : "Page") + ", scrolls");
  }
}

// Draw again on another width; on none, as while a page is hidden, there is nothing to draw on.
function onWidth(box, redraw) {
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth < 40 || Math.abs(box.clientWidth - width) < 3) return;
    width = box.clientWidth;
    redraw();
  }).observe(box);
}

// The page put together.
function head() {
  const box = document.getElementById("head");
  const title = el("h1", {}),
    classes = el("div", { class: "first" }),
    lead = el("p", { class: "lead" }),
    notes = el("div", {});
  box.append(
    el(
      "div",
      { class: "over" },
      el("span", {}, el("strong", {}, "Hormesis"), " · fragile, robust, antifragile"),
      themeButton(),
    ),
    title,
    lead,
    notes,
    classes,
  );
  if (!study()) {
    title.textContent = headingOf(0);
    return;
  }
  if (shared.several) {
    title.textContent = shared.title || shared.several.heading;
    watch([], () => clear(classes).append(...meanings(study())));
    return; // what is of one study stands below the comparison
  }
  watch([], () => {
    title.textContent = headingOf(state.study);
    clear(classes).append(...meanings(study()));
    describeStudy(lead, notes);
  });
}

// What was measured of a study, in a line, and its notes.
function describeStudy(lead, notes) {
  const data = study(),
    [measured, planned] = data.samples;
  clear(lead).append(
    el("b", {}, capital(data.attack)),
    data.adversary ? ", " + data.adversary + " adversary. " : ". ",
    measured < planned
      ? count(measured) + " of " + count(planned) + " samples. "
      : count(measured) + " samples. ",
    "Unfiltered " + data.performance + ": ",
    ...data.unfiltered.flatMap(([kind, text], index) => [
      index ? ", " : "",
      el("b", {}, text),
      " " + kind,
    ]),
    ".",
  );
  fillNotes(notes, data);
}

// A title of the user's stands before what tells studies apart.
function headingOf(index) {
  const own = shared.headings[index];
  if (!shared.title) return own;
  return shared.studies.length > 1 ? shared.title + ": " + own : shared.title;
}

function themeButton() {
  const theme = button("", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    updateTheme();
  });
  const updateTheme = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", "Switch to " + theme.textContent.toLowerCase() + " colours");
    show({ theme: document.documentElement.dataset.theme }, true);
  };
  theme.classList.add("screen");
  updateTheme();
  return theme;
}

function fillNotes(notes, data) {
  clear(notes);
  fillProgress(notes, data);
  if (data.notes.length)
    notes.append(
      el("div", { class: "notes small" }, ...data.notes.map((text) => el("p", {}, text))),
    );
}

function bar() {
  const box = document.getElementById("bar"),
    inside = el("div", {});
  box.append(inside);
  watch(["score", "filter"], () => {
    const data = study(),
      filters = Object.keys(data.scores);
    if (inside.contains(document.activeElement) && inside.dataset.study === String(state.study)) {
      for (const input of inside.querySelectorAll("input"))
        input.checked = input.value === state[input.name];
      return; // whoever moves through the choices keeps the focus
    }
    inside.dataset.study = state.study;
    clear(inside);
    if (shared.studies.length > 1) {
      const pick = el(
        "select",
        { id: "study", onchange: () => show({ study: Number(pick.value) }) },
        ...shared.studies.map((name, index) => el("option", { value: index }, studyName(name))),
      );
      pick.value = state.study;
      inside.append(
        el(
          "span",
          { class: "choice" },
          el("label", { class: "legend", for: "study" }, "Study"),
          pick,
        ),
      );
    }
    if (scoreNames().length > 1)
      inside.append(
        choice(
          "Score",
          "score",
          scoreNames().map((score) => [score, wordOf(score)]),
          state.score,
          (score) => show({ score }),
        ),
      );
    if (filters.length > 1)
      inside.append(
        choice(
          study().levels ? "Replacement" : "Filter",
          "filter",
          filters.map((name) => [name, filterName(name)]),
          state.filter,
          (filter) => show({ filter }),
        ),
      );
    box.hidden = !inside.children.length;
  });
}

function method() {
  const box = section("method", "How it was measured", ""),
    body = el("div", {});
  box.append(body);
  watch([], () => {
    const data = study();
    clear(body).append(
      el(
        "dl",
        {},
        ...data.facts.flatMap(([term, value]) => [
          el("dt", {}, term),
          el("dd", { class: term.startsWith("Fingerprint") ? "mono small" : "" }, value),
        ]),
      ),
    );
    if (data.untested.length) {
      body.append(
        el("h3", {}, "What was not tested, and why"),
        el(
          "ul",
          { class: "small" },
          ...data.untested.map(([reason, number, values, names]) =>
            el(
              "li",
              {},
              number +
                (number === 1 ? " parameter" : " parameters") +
                " with " +
                count(values) +
                " values: " +
                reason,
              el(
                "span",
                { class: "soft" },
                " (" + names.join(", ") + (number > names.length ? ", …" : "") + ")",
              ),
            ),
          ),
        ),
      );
    }
    body.append(
      el("h3", {}, "How to repeat it"),
      el("pre", {}, el("code", {}, data.command)),
      el(
        "p",
        { class: "small soft" },
        (data.placeholders ? data.placeholders + " " : "") +
          "The same network and data have the fingerprints above, and give the same numbers.",
      ),
      el("h3", {}, "How to read a score"),
      el("p", { class: "small" }, readingOf(data)),
    );
  });
  return box;
}

const READINGS = {
  density:
    "by density, the share of weights kept: whether performance falls slower or faster than the layer is emptied",
  base: "by base, the unfiltered network: whether the filtered network does better or worse",
};

function readingOf(data) {
  const reference = {
    density:
      "the share of weights kept: above zero, performance falls slower than the layer is emptied",
    base:
      "the unfiltered network: above zero, the " +
      (data.levels ? "changed" : "filtered") +
      " network does better",
    random: "the removal of as many weights at random: away from zero, it matters which weights go",
  }[data.scoring.reference];
  const sweep = data.levels
    ? "The weights of one layer are changed, at one level after the other, from mild to strong. The score is the mean, over the levels, of the performance relative to the unchanged network, less that of "
    : "A filter sweeps its threshold over the weights of one layer, from removing nothing to removing everything. The score is the mean, over the sweep, of the performance relative to the unfiltered network, less ";
  return (
    sweep +
    reference +
    "." +
    (scoreNames().includes("difference")
      ? " The difference score compares the two curves, " +
        (data.given ? "stressed" : "attack") +
        " less clean."
      : "") +
    " Fragile is below −" +
    data.scoring.tolerance +
    ", antifragile above +" +
    data.scoring.tolerance +
    ", robust between; undecided where the " +
    100 * data.scoring.level +
    "\u202f% interval straddles a border." +
    (data.beside
      ? " Beside it, without a class, stands what the same response says " +
        READINGS[data.beside] +
        ": the same number, moved by the share that the filter empties on average over the sweep."
      : "")
  );
}

function start() {
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches
    ? "dark"
    : "light";
  restoreSettings();
  recall();
  head();
  const main = document.getElementById("main");
  if (study()) {
    bar();
    for (const make of [
      several,
      chosenStudy,
      answer,
      network,
      heat,
      table,
      retraining,
      take,
      method,
    ]) {
      const element = make();
      if (element) main.append(element);
    }
  } else {
    document.getElementById("bar").remove();
    main.append(retraining());
  }
  document
    .getElementById("foot")
    .append(
      "Made by hormesis " +
        shared.version +
        ". The method: Pravin, Martino, Nicosia and Ojha, Fragility, Robustness and Antifragility in Deep Learning, Artificial Intelligence 327 (2024), arXiv:2312.09821. This page loads nothing from anywhere.",
    );
  let before = "light";
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    show({ theme: "print" }, true);
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = before;
    show({ theme: before }, true);
  });
  addEventListener("scroll", untip, { passive: true });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") untip();
  });
  offerPictures();
  restoreView();
  new ResizeObserver(reachScrollers).observe(document.body);
  scheduleReload();
  document.documentElement.dataset.ready = "true";
}

start();

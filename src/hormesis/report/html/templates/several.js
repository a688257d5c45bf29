// Several studies side by side: what stays the same, paths of ranks, means over trainings.
const OVER = {
  epochs: "Over the epochs",
  data: "Over the data sets",
  models: "Over the architectures",
  seeds: "Over the runs",
  epsilons: "Over the magnitudes of the attack",
};
const STAYS = { no: "changes", certain: "stays, certain", undecided: "stays by the estimates" };

function several() {
  const all = shared.several;
  if (!all) return null;
  const box = section("several", OVER[all.over], "");
  if (all.refused) {
    const why = "These studies cannot be compared, so each is shown on its own. " + all.refused;
    box.append(el("p", { class: "banner" }, why));
    return box;
  }
  box.append(
    el("ol", { class: "findings" }, ...all.answer.map((text) => el("li", {}, text))),
    movingScores(all) || "",
  );
  box.append(...bothStresses(all), ...agreement(all));
  const pictures = el("div", {}),
    paths = el("div", { class: "scroller" });
  box.append(
    pictures,
    pooledTrainings(all) || "",
    el("h3", {}, "The unfiltered networks"),
    foldable(
      "The studies",
      all.studies.length <= 6,
      el("div", { class: "scroller" }, baseTable(all)),
    ),
    foldable(
      "Paths of classes, and the largest changes",
      all.matches.length <= 24,
      el("p", { class: "small soft" }, all.legend),
      paths,
    ),
  );
  if (all.notes.length)
    box.append(
      foldable(
        "Notes on the comparison",
        false,
        ...all.notes.map((text) => el("p", { class: "small soft" }, text)),
      ),
    );
  watch(["score"], () => {
    const score = comparedScore(all);
    const drawn = [
      ["Scores of every target in every study", picture("heatmap-" + score)],
      ["Order of the targets by " + score + " score", picture("ranks-" + score)],
    ];
    clear(pictures).append(
      ...drawn.flatMap(([heading, result]) =>
        result ? [el("h3", {}, heading), wide(result)] : [],
      ),
    );
    clear(paths).append(pathTable(all), changeTable(all));
  });
  return box;
}

function bothStresses(all) {
  const surface = picture("surface");
  if (!surface) return [];
  const turns = all.turns.map((text) => el("p", { class: "small" }, text));
  return [el("h3", {}, "Both stresses together"), surface, ...turns];
}

function agreement(all) {
  return [
    el("h3", {}, "How far the studies agree"),
    el("div", { class: "scroller" }, agreementTable(all)),
    ...all.explained.map((text) => el("p", { class: "small soft" }, text)),
  ];
}

// What is of one study: its heading, below the comparison that it is a part of.
function chosenStudy() {
  if (!shared.several) return null;
  const box = section("chosen", ""),
    title = box.querySelector("h2"),
    lead = el("p", { class: "lead" }),
    notes = el("div", {});
  box.append(lead, notes);
  watch([], () => {
    title.textContent = "One study: " + headingOf(state.study);
    describeStudy(lead, notes);
  });
  return box;
}

function wide(drawn) {
  for (const element of [drawn, drawn.querySelector("svg")]) element.style.width = "100%";
  return drawn;
}

function agreementTable(all) {
  return grid(
    ["score", "targets", "agreement on classes, κ", "likeness of order, mean ρ"],
    all.agreement.map((row) => row.map((text) => text.replaceAll("-", "−"))),
  );
}

// The score that is shown, if every study has it.
function comparedScore(all) {
  return state.score in all.paths ? state.score : "clean";
}

function foldable(title, open, ...children) {
  return el("details", { open }, el("summary", {}, title), ...children);
}

function baseTable(all) {
  const columns = {
    epsilon: ["ε", (value) => (value === null ? "–" : value.toPrecision(3))],
    clean: ["unfiltered, clean", formatMetric],
    adversarial: ["unfiltered, adversarial", formatMetric],
  };
  const known = Object.entries(columns).filter(([key]) => key in all.base);
  const link = (name) => {
    const onclick = (event) => {
      event.preventDefault();
      show({ study: shared.studies.indexOf(name) });
      document.getElementById("head").scrollIntoView();
    };
    return el("a", { href: "#head", onclick }, studyName(name));
  };
  return grid(
    ["study", ...known.map(([, [text]]) => text)],
    all.studies.map((name, index) => [
      link(name),
      ...known.map(([key, [, text]]) => text(all.base[key][index])),
    ]),
  );
}

// "3" alone says little: it is an epoch.
function studyName(name) {
  const over = shared.several && shared.several.over;
  return /^\d+$/.test(name) && ["epochs", "seeds"].includes(over)
    ? (over === "epochs" ? "epoch " : "seed ") + name
    : name;
}

// Several trainings of one network as one: mean scores, and how far other trainings may lie.
function pooledTrainings(all) {
  if (!all.pooled.length) return null;
  const box = el("div", {}),
    drawn = el("div", {}),
    numbers = el("div", {});
  box.append(
    el("h3", { id: "pooled" }, "Mean scores over the trainings"),
    el("p", { class: "small soft" }, all.pooled_says),
    drawn,
    foldable("Pooled scores, with the intervals between runs", all.matches.length <= 24, numbers),
  );
  watch(["score"], () => {
    clear(drawn).append(picture("pooled-" + comparedScore(all)) || "");
    clear(numbers).append(
      ...all.pooled.map((group) =>
        el(
          "div",
          { class: "scroller" },
          pooledTable(group, comparedScore(all), all.pooled.length > 1),
        ),
      ),
    );
  });
  return box;
}

function span([low, high]) {
  return low === null ? "–" : formatSigned(low) + " to " + formatSigned(high);
}

function pooledTable(group, score, named) {
  return grid(
    ["pooled", "runs", "mean", "class", "between runs", "sampling", "both"],
    group.scores[score].map((row) => {
      const label = study().classes[row.class],
        ends = ["between", "sampling", "both"].map((kind) => span(row[kind]));
      return [
        displayName(row.match),
        row.runs,
        formatSigned(row.mean),
        [badge(label), " ", label],
        ...ends,
      ];
    }),
    named ? group.name : "",
  );
}

function pathTable(all) {
  return grid(
    ["target", ...Object.keys(all.paths)],
    all.matches.map((match, row) => [
      displayName(match),
      ...Object.keys(all.paths).map((score) => {
        const [path, kept] = all.paths[score][row];
        return [
          el("span", { class: "mono" }, path),
          el("span", { class: "soft" }, " " + (STAYS[kept] || kept)),
        ];
      }),
    ]),
  );
}

function changeTable(all) {
  const score = comparedScore(all);
  return grid(
    ["target", "from", "to", "difference", "interval", ""],
    all.changes[score].map(([match, from, to, difference, low, high, certain]) => [
      displayName(match),
      from,
      to,
      formatSigned(difference),
      span([low, high]),
      certain ? "certain" : "",
    ]),
    "Largest changes of the " + score + " score",
  );
}

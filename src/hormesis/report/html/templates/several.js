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
  box.append(...all.lines.map((text) => el("p", {}, capital(text).replaceAll("-", "−") + ".")));
  if (all.notes.length)
    box.append(
      el(
        "details",
        {},
        el("summary", { class: "small" }, "Notes on the comparison"),
        ...all.notes.map((text) => el("p", { class: "small soft" }, text)),
      ),
    );
  const surface = picture("surface");
  if (surface)
    box.append(
      el("h3", {}, "Both stresses together"),
      surface,
      ...all.turns.map((text) => el("p", { class: "small" }, text)),
    );
  const pictures = el("div", {}),
    paths = el("div", { class: "scroller" });
  box.append(
    el("h3", {}, "The unfiltered networks"),
    foldable(
      "The studies",
      all.studies.length <= 6,
      el("div", { class: "scroller" }, baseTable(all)),
    ),
    pooledTrainings(all) || "",
    pictures,
    foldable(
      "Paths of classes, and the largest changes",
      all.matches.length <= 24,
      el("p", { class: "small soft" }, all.legend),
      paths,
    ),
  );
  watch(["score"], () => {
    const score = comparedScore(all);
    const drawn = [
      ["Scores of every target in every study", picture("heatmap-" + score)],
      ["Order of the targets by " + score + " score", picture("ranks-" + score)],
    ];
    clear(pictures).append(
      ...drawn.flatMap(([heading, result]) => (result ? [el("h3", {}, heading), result] : [])),
    );
    clear(paths).append(pathTable(all), changeTable(all));
  });
  return box;
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

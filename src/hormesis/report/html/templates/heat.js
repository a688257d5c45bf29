// All scores of all targets at a glance: one column a target, one row a score and filter.
const MOST_COLUMNS = 400;

function heat() {
  const box = section(
    "heat",
    "Every score at a glance",
    "Columns are layers in the order of the data, rows are filters; orange is fragile, purple antifragile. Letters tell the class: F, R, A for certain, ? undecided, × not tested.",
  );
  const map = el("div", { class: "scroller" }),
    key = el("div", {});
  box.append(key, map);
  const again = () => {
    const one = study(),
      columns = Math.min(MOST_COLUMNS, one.targets.name.length);
    const most = reach(
      Object.values(one.scores).flatMap((own) => SCORES.flatMap((score) => own[score].value)),
    );
    clear(key).append(ramp(most, "Colours from fragile to antifragile"));
    if (columns < one.targets.name.length)
      key.append(
        el(
          "p",
          { class: "small soft" },
          "The first " + columns + " of " + one.targets.name.length + " targets.",
        ),
      );
    clear(map).append(heatPicture(map.clientWidth || 900, columns, most));
    chosenColumn(map);
  };
  watch(["theme"], again);
  watch(["target"], () => chosenColumn(map));
  onWidth(map, again);
  return box;
}

function chosenColumn(map) {
  const frame = map.querySelector(".frame"),
    svg = map.querySelector("svg");
  if (!frame) return;
  const inside = state.target < Number(svg.dataset.columns);
  frame.setAttribute("visibility", inside ? "visible" : "hidden");
  if (inside)
    frame.setAttribute("x", Number(svg.dataset.left) + state.target * Number(svg.dataset.cell));
}

function heatPicture(width, columns, most) {
  const one = study(),
    filters = Object.keys(one.scores),
    left = width < 500 ? 74 : 104,
    tall = 19;
  const cell = Math.max(5, Math.min(44, (width - left - 2) / columns)),
    named = cell >= 11;
  const longest = named
    ? Math.max(
        ...one.targets.name.slice(0, columns).map((name) => Math.min(26, spelled(name).length)),
      )
    : 0;
  const top = named ? Math.round(longest * 5.4 * 0.88) + 14 : 8,
    block = filters.length * tall + 26;
  const made = draw("svg", {
    width: left + columns * cell + (named ? 40 : 2),
    height: top + SCORES.length * block,
    role: "img",
    "data-left": left,
    "data-cell": cell,
    "data-columns": columns,
    "aria-label":
      "Heat map of " +
      columns +
      " targets by three scores and " +
      filters.length +
      " filters; the table below has the numbers",
  });
  if (named)
    for (let place = 0; place < columns; place++) {
      const x = left + (place + 0.5) * cell;
      made.append(
        words(x, top - 4, short(spelled(one.targets.name[place]), 26), {
          "font-size": 10,
          class: "soft",
          transform: `rotate(-62 ${x} ${top - 4})`,
        }),
      );
    }
  SCORES.forEach((score, number) => {
    const y = top + number * block;
    made.append(words(0, y + 14, capital(score), { "font-weight": 650, "font-size": 12 }));
    filters.forEach((filter, level) => {
      const at = y + 20 + level * tall;
      made.append(
        words(left - 6, at + 13, filterName(filter), {
          "font-size": 11,
          class: "soft",
          "text-anchor": "end",
        }),
      );
      for (let place = 0; place < columns; place++)
        heatCell(made, { score, filter, place, x: left + place * cell, y: at, cell, tall, most });
    });
  });
  made.append(
    draw("rect", {
      class: "frame",
      x: 0,
      y: top,
      width: cell,
      height: SCORES.length * block,
      fill: "none",
      stroke: "var(--ink)",
      "stroke-width": 1.4,
      "pointer-events": "none",
    }),
  );
  return made;
}

function heatCell(made, at) {
  const found = scoreOf(at.place, at.score, at.filter);
  const colour =
    found.value === null ? { fill: "var(--faint)", ink: "var(--ink)" } : tint(found.value, at.most);
  const cell = draw("rect", {
    class: "cell",
    x: at.x + 0.4,
    y: at.y + 0.4,
    width: Math.max(1, at.cell - 0.8),
    height: at.tall - 0.8,
    fill: colour.fill,
  });
  cell.addEventListener("pointermove", (event) =>
    tip(
      [
        spelled(study().targets.name[at.place]),
        capital(at.score) + " score, " + filterName(at.filter),
        said(found),
      ],
      event,
    ),
  );
  cell.addEventListener("pointerleave", untip);
  cell.addEventListener("click", () =>
    show({ target: at.place, score: at.score, filter: at.filter }),
  );
  made.append(cell);
  if (at.cell >= 13) {
    const letter = words(at.x + at.cell / 2, at.y + 13.5, SHORT[found.class], {
      "text-anchor": "middle",
      "font-size": 10,
      "pointer-events": "none",
    });
    letter.style.fill = colour.ink;
    made.append(letter);
  }
}

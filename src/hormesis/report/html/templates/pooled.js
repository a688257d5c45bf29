// Several trainings of one network as one: mean scores, and how far other trainings may lie.
function pooledTrainings(all) {
  if (!all.pooled.length) return null;
  const box = el("div", {}),
    pictures = el("div", { class: "scroller" }),
    numbers = el("div", {});
  box.append(
    el("h3", { id: "pooled" }, "Mean scores over the trainings"),
    el("p", { class: "small soft" }, all.pooled_says),
    pictures,
    el(
      "details",
      { open: all.matches.length <= 24 },
      el("summary", {}, "Pooled scores, with the intervals between runs"),
      numbers,
    ),
  );
  watch(["theme", "score"], () => {
    const width = Math.min(pictures.clientWidth || window.innerWidth - 48, 900);
    clear(pictures).append(
      ...all.pooled.flatMap((group) => [
        el(
          "p",
          { class: "small" },
          group.name + ", " + state.score + " score; thick line: between runs, thin line: both",
        ),
        pooledPicture(all, group, width),
      ]),
    );
    clear(numbers).append(
      ...all.pooled.map((group) =>
        el("div", { class: "scroller" }, pooledTable(group, all.pooled.length > 1)),
      ),
    );
  });
  return box;
}

// A mark a target, a thick line between runs, a thin one for other trainings on other samples.
// Networks share one scale.
function pooledPicture(all, group, width) {
  const rows = group.scores[state.score],
    tall = rows.length > 60 ? 12 : 20,
    longest = Math.max(...rows.map((row) => spelled(row.match).length)),
    left = Math.min(12 + 6.4 * longest, 170, width * 0.36),
    foot = 26;
  const every = all.pooled.flatMap((each) => each.scores[state.score]),
    ends = every.flatMap((row) => [row.mean, ...row.between, ...row.both]);
  const known = ends.filter((value) => value !== null),
    tolerance = study().scoring.tolerance;
  const from = Math.min(-tolerance, ...known),
    to = Math.max(tolerance, ...known),
    x = linear(from, to, left + 8, width - 14);
  const height = rows.length * tall + foot;
  const made = draw("svg", {
    width,
    height,
    role: "img",
    "aria-label": "Mean " + state.score + " scores with intervals; the table below has the numbers",
  });
  made.append(
    draw("rect", {
      x: x(-tolerance),
      y: 0,
      width: x(tolerance) - x(-tolerance),
      height: height - foot,
      fill: "var(--faint)",
    }),
  );
  for (const tick of ticks(from, to, 5))
    made.append(
      words(x(tick), height - 8, signed(tick), {
        "text-anchor": "middle",
        "font-size": 11,
        class: "soft",
      }),
    );
  rows.forEach((row, place) => made.append(pooledRow(row, x, (place + 0.5) * tall, left)));
  return made;
}

function pooledRow(row, x, y, left) {
  const made = draw("g", {}),
    label = study().classes[row.class];
  made.append(
    words(left, y + 4, short(spelled(row.match), Math.floor(left / 6.4)), {
      "text-anchor": "end",
      "font-size": 11,
      class: "soft",
    }),
  );
  if (row.mean === null) return made;
  for (const [[low, high], thick] of [
    [row.both, 1.4],
    [row.between, 4],
  ])
    if (low !== null)
      made.append(
        draw("line", {
          x1: x(low),
          x2: x(high),
          y1: y,
          y2: y,
          stroke: "var(--soft)",
          "stroke-width": thick,
          "stroke-opacity": thick > 2 ? 0.55 : 1,
        }),
      );
  made.append(mark(label, x(row.mean), y, 5));
  made.addEventListener("pointermove", (event) =>
    tip(
      [
        spelled(row.match),
        signed(row.mean) + " on average over " + row.runs + " runs, " + label,
        "between runs " + span(row.between) + "; both " + span(row.both),
      ],
      event,
    ),
  );
  made.addEventListener("pointerleave", untip);
  return made;
}

function span([low, high]) {
  return low === null ? "–" : signed(low) + " to " + signed(high);
}

function pooledTable(group, several) {
  const heads = ["pooled", "runs", "mean", "class", "between runs", "sampling", "both"];
  return el(
    "table",
    {},
    several ? el("caption", {}, group.name) : null,
    el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)))),
    el(
      "tbody",
      {},
      ...group.scores[state.score].map((row) => {
        const label = study().classes[row.class];
        return el(
          "tr",
          {},
          el("td", { class: "name" }, spelled(row.match)),
          el("td", {}, String(row.runs)),
          el("td", {}, signed(row.mean)),
          el("td", {}, badge(label), " ", label),
          ...["between", "sampling", "both"].map((kind) => el("td", {}, span(row[kind]))),
        );
      }),
    ),
  );
}

// 1 is the lowest score; targets without a score in some study have no path.
function ranksOf(all) {
  const values = all.scores[state.score].value,
    whole = all.matches
      .map((_, row) => row)
      .filter((row) => values[row].every((value) => value !== null));
  const ranks = new Map(whole.map((row) => [row, []]));
  all.studies.forEach((_, place) =>
    whole
      .slice()
      .sort((a, b) => values[a][place] - values[b][place] || a - b)
      .forEach((row, rank) => ranks.get(row).push(rank + 1)),
  );
  return ranks;
}

function rankPaths(all, width) {
  const ranks = ranksOf(all),
    rows = ranks.size,
    tall = rows > 60 ? 10 : 17,
    side = Math.min(190, width * 0.27);
  const height = rows * tall + 40,
    made = draw("svg", {
      width: Math.max(320, Math.min(width, 330 + all.studies.length * 90)),
      height,
      role: "img",
      "aria-label": "Paths of " + rows + " targets through the order by " + state.score + " score",
    });
  const right = Number(made.getAttribute("width")),
    x = linear(0, Math.max(1, all.studies.length - 1), side, right - side),
    y = (rank) => height - 12 - (rank - 0.5) * tall;
  const every = Math.ceil(all.studies.length / 12);
  all.studies.forEach((name, place) => {
    if (place % every === 0)
      made.append(
        words(x(place), 14, short(name, 12), {
          "text-anchor": "middle",
          "font-size": 11,
          class: "soft",
        }),
      );
  });
  const marks = draw("g", { "pointer-events": "none" }); // above all lines
  for (const [row, own] of ranks) {
    const match = all.matches[row],
      path = draw("g", { class: "path", "data-name": match });
    path.append(
      draw("path", {
        d: line(own.map((rank, place) => [x(place), y(rank)])),
        fill: "none",
        stroke: "var(--rule)",
        "stroke-width": 1.6,
      }),
    );
    own.forEach((rank, place) =>
      marks.append(
        mark(
          study().classes[all.scores[state.score].class[row][place]],
          x(place),
          y(rank),
          tall > 10 ? 4 : 2.8,
        ),
      ),
    );
    if (tall > 10)
      path.append(
        words(side - 10, y(own[0]) + 4, short(spelled(match), Math.floor(side / 6.8)), {
          "text-anchor": "end",
          "font-size": 11,
        }),
        words(
          right - side + 10,
          y(own[own.length - 1]) + 4,
          short(spelled(match), Math.floor(side / 6.8)),
          { "font-size": 11 },
        ),
      );
    path.addEventListener("pointermove", (event) => {
      light(made, match);
      tip([spelled(match), "place " + own.join(" → ") + " of " + rows], event);
    });
    path.addEventListener("pointerleave", () => {
      untip();
      highlight(made.parentNode);
    });
    path.addEventListener("click", () => {
      const place = study().targets.name.indexOf(match);
      if (place >= 0) show({ target: place });
    });
    made.append(path);
  }
  made.append(marks);
  queueMicrotask(() => made.parentNode && highlight(made.parentNode));
  return made;
}

function light(made, match) {
  for (const path of made.querySelectorAll(".path")) {
    const on = path.dataset.name === match;
    path.firstChild.setAttribute("stroke", on ? "var(--ink)" : "var(--rule)");
    path.firstChild.setAttribute("stroke-width", on ? 2.4 : 1.6);
    path.firstChild.setAttribute("opacity", on ? 1 : 0.7);
  }
}

function highlight(box) {
  light(box, study().targets.name[state.target]);
}

function pathTable(all) {
  return el(
    "table",
    {},
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col", class: "name" }, "target"),
        ...SCORES.map((score) => el("th", { scope: "col" }, score)),
      ),
    ),
    el(
      "tbody",
      {},
      ...all.matches.map((match, row) =>
        el(
          "tr",
          {},
          el("td", { class: "name" }, spelled(match)),
          ...SCORES.map((score) => {
            const [path, kept] = all.paths[score][row];
            return el(
              "td",
              {},
              el("span", { class: "mono" }, path),
              el(
                "span",
                { class: "soft" },
                kept === "no"
                  ? " changes"
                  : kept === "certain"
                    ? " stays, certain"
                    : kept === "undecided"
                      ? " stays by the estimates"
                      : " " + kept,
              ),
            );
          }),
        ),
      ),
    ),
  );
}

function changeTable(all) {
  const rows = all.changes[state.score];
  return el(
    "table",
    {},
    el("caption", {}, "Largest changes of the " + state.score + " score"),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ...["target", "from", "to", "difference", "interval", ""].map((text) =>
          el("th", { scope: "col" }, text),
        ),
      ),
    ),
    el(
      "tbody",
      {},
      ...rows.map(([match, from, to, difference, low, high, certain]) =>
        el(
          "tr",
          {},
          el("td", { class: "name" }, spelled(match)),
          el("td", {}, from),
          el("td", {}, to),
          el("td", {}, signed(difference)),
          el("td", {}, low === null ? "–" : signed(low) + " to " + signed(high)),
          el("td", {}, certain ? "certain" : ""),
        ),
      ),
    ),
  );
}

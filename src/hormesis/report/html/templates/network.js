// The network: layers from input to output, branches side by side, each beside its score.
const MANY = 80, // targets, among which one searches
  ROW = 24,
  JOIN = 13,
  TOP = 46;

function network() {
  const box = section("network", "The network, layer by layer");
  const intro = el("p", { class: "intro" }),
    keys = classKeys();
  const picture = el("div", { class: "scroller" }),
    panel = el("div", {
      class: "panel",
      id: "panel",
      "aria-label": "The chosen layer",
      role: "region",
    });
  box.append(intro, keys);
  if (study().targets.name.length > MANY)
    box.append(el("div", { class: "tools" }, ...searchField("find-layers")));
  box.append(el("div", { class: "split" }, picture, panel));
  watch(["score", "filter", "search"], () => {
    const data = study();
    intro.textContent =
      (data.network.known
        ? "Data flow from top to bottom; lines show which layer feeds which, small dots where branches meet. "
        : "The study does not say which layer feeds which: layers stand in the order in which the network first uses them. ") +
      "Marks are sized by the number of weights; to their right the " +
      wordOf(state.score) +
      " score, " +
      stressName(state.filter) +
      (data.network.rows.some((row) => row[1].length > 1)
        ? ", a mark a channel"
        : ", with its " + 100 * data.scoring.level + "\u202f% interval") +
      ". The band is what counts as robust. Choose a layer to see its responses.";
    clear(picture).append(networkPicture(picture.clientWidth || 520));
  });
  watch(["target"], () => markChosen(picture));
  curves(panel);
  onWidth(picture, () => {
    clear(picture).append(networkPicture(picture.clientWidth));
    markChosen(picture);
  });
  return box;
}

function markChosen(picture) {
  for (const row of picture.querySelectorAll(".row")) {
    const chosen = row.dataset.targets.split(" ").includes(String(state.target));
    row.classList.toggle("chosen", chosen);
    row.setAttribute("aria-pressed", chosen);
    row.setAttribute("tabindex", chosen ? 0 : -1);
  }
  if (!picture.querySelector('.row[tabindex="0"]'))
    picture.querySelector(".row")?.setAttribute("tabindex", 0);
}

function networkPicture(width) {
  const data = study(),
    rows = foundRows();
  if (!rows.length) return el("p", { class: "soft" }, "No layer is what the search asks for.");
  const lanes = Math.max(...rows.map((row) => row[2])) + 1;
  const gap = Math.max(4, Math.min(30, (width * 0.24) / lanes)),
    left = 13,
    lane = (number) => left + number * gap;
  const names = left + (lanes - 1) * gap + 16,
    start = names + Math.max(96, Math.min(190, width * 0.33)),
    end = width - 12;
  let height = TOP;
  const middles = rows.map((row) => {
    const own = row[0] ? ROW : JOIN;
    height += own;
    return height - own / 2;
  });
  const element = draw("svg", {
    width,
    height: height + 30,
    role: "group",
    "aria-label": "Layers of the network with their " + wordOf(state.score) + " scores",
  });
  const x = forestAxis(element, start, end, height);
  edges(element, rows, middles, lane);
  const largest = Math.max(...data.targets.size);
  const shown = shortAll(
    rows.map((row) => displayName(row[0])),
    Math.floor((start - names - 4) / 6.6),
  );
  rows.forEach((row, index) => {
    const at = { lane: lane(row[2]), names, start, end, x, width, largest, name: shown[index] };
    if (row[0])
      element.append(
        layer(row, middles[index], at),
        // Beside the button, whose label has the whole name; this may be cut.
        svgText(names, middles[index] + 4, shown[index], {
          "font-size": 12,
          "aria-hidden": "true",
          "pointer-events": "none",
        }),
      );
    else
      element.append(
        draw("circle", { cx: lane(row[2]), cy: middles[index], r: 2.6, fill: "var(--soft)" }),
      );
  });
  element.append(
    svgText(left - 7, TOP - 8, "data in", { class: "soft", "font-size": 11 }),
    svgText(left - 7, height + 14, "output", { class: "soft", "font-size": 11 }),
  );
  return element;
}

// While one searches, only what is found, without the lines in between.
function foundRows() {
  const { rows } = study().network;
  if (!state.search.trim()) return rows;
  return rows
    .map(([name, members]) => [name, members.filter(isFound), 0, []])
    .filter(([, members]) => members.length);
}

function forestAxis(element, start, end, height) {
  const data = study(),
    own = data.scores[state.filter][state.score],
    tolerance = data.scoring.tolerance;
  const ends = [...own.low, ...own.high, ...own.value].filter((value) => value !== null);
  const low = Math.min(-tolerance * 1.6, ...ends),
    high = Math.max(tolerance * 1.6, ...ends);
  const x = linear(low, high, start + 4, end - 4);
  element.append(
    draw("rect", {
      x: x(-tolerance),
      y: TOP - 6,
      width: Math.max(0, x(tolerance) - x(-tolerance)),
      height: height - TOP + 12,
      fill: "var(--zone)",
    }),
  );
  element.append(
    draw("line", {
      x1: x(0),
      x2: x(0),
      y1: TOP - 6,
      y2: height + 6,
      stroke: "var(--soft)",
      "stroke-width": 1,
    }),
  );
  for (const tick of ticks(low, high, Math.max(2, (end - start) / 70))) {
    for (const y of [TOP - 10, height + 19])
      element.append(
        svgText(x(tick), y, formatSigned(tick, 1).replace("+0.0", "0"), {
          "text-anchor": "middle",
          class: "soft",
          "font-size": 11,
        }),
      );
  }
  if (x(-tolerance) - start > 52)
    element.append(
      svgText(x(-tolerance) - 6, 14, "← fragile", {
        "text-anchor": "end",
        "font-size": 12,
        "font-weight": 600,
        class: "name-fragile",
      }),
    );
  if (end - x(tolerance) > 92)
    element.append(
      svgText(x(tolerance) + 6, 14, "antifragile →", {
        "font-size": 12,
        "font-weight": 600,
        class: "name-antifragile",
      }),
    );
  return x;
}

// A result runs down its own line, and bends into the row that reads it.
function edges(element, rows, middles, lane) {
  rows.forEach((row, index) => {
    for (const source of row[3]) {
      const from = lane(rows[source][2]),
        to = lane(row[2]),
        y = middles[index],
        bend = Math.min(16, (y - middles[source]) / 2);
      const path =
        from === to
          ? `M${from},${middles[source]}V${y}`
          : to > from
            ? `M${from},${middles[source]}C${from},${middles[source] + bend} ${to},${middles[source] + bend} ${to},${middles[source] + 2 * bend}V${y}`
            : `M${from},${middles[source]}V${y - bend}C${from},${y - 2} ${to},${y - bend} ${to},${y}`;
      element.append(
        draw("path", {
          d: path,
          fill: "none",
          stroke: "var(--soft)",
          "stroke-width": 1.3,
          opacity: 0.75,
        }),
      );
    }
  });
}

function layer(row, y, at) {
  const data = study(),
    members = row[1],
    name = displayName(row[0]);
  const results = members.map((index) => scoreOf(index));
  const lead = members.length === 1 ? results[0].class : "several";
  const size = members.reduce((sum, index) => sum + data.targets.size[index], 0);
  const group = draw("g", {
    class: "row",
    role: "button",
    tabindex: -1,
    "data-targets": members.join(" "),
    "data-name": row[0],
    "aria-label":
      name +
      ": " +
      (members.length === 1 ? scoreSentence(results[0]) : members.length + " channels") +
      "; " +
      count(size) +
      " weights",
  });
  group.append(
    draw("rect", { class: "hit", x: 1, y: y - ROW / 2, width: at.width - 2, height: ROW, rx: 4 }),
  );
  if (members.length === 1) {
    group.append(
      mark(lead, at.lane, y, 3.2 + 5.6 * Math.sqrt(data.targets.size[members[0]] / at.largest)),
    );
    interval(group, results[0], y, at);
  } else channelDots(group, results, y, at);
  const open = () => {
    if (members.length) {
      show({ target: pick(members) });
    }
  };
  group.addEventListener("click", () => {
    open();
    scrollToPanel();
  });
  group.addEventListener("keydown", (event) => moveThrough(event, group, open));
  group.addEventListener("pointermove", (event) => tip(tipLines(row, results), event));
  group.addEventListener("pointerleave", untip);
  group.addEventListener("focus", (event) => {
    if (group.matches(":focus-visible")) tip(tipLines(row, results), event);
  });
  group.addEventListener("blur", untip);
  return group;
}

function channelDots(group, results, y, at) {
  const ring = { r: 5, fill: "var(--ground)", stroke: "var(--ink)", "stroke-width": 1.6 };
  group.append(draw("circle", { cx: at.lane, cy: y, ...ring }));
  for (const each of results) {
    if (each.value === null) continue;
    group.append(mark(each.class, at.x(each.value), y, 2.6));
  }
}

// Of the channels of a layer, the one of the lowest score.
function pick(members) {
  if (members.includes(state.target)) return state.target;
  return members.reduce(
    (best, index) => ((scoreOf(index).value ?? 9) < (scoreOf(best).value ?? 9) ? index : best),
    members[0],
  );
}

function interval(group, result, y, at) {
  if (result.value === null) {
    group.append(svgText(at.x(0) + 6, y + 4, result.class, { class: "soft", "font-size": 11 }));
    return;
  }
  const colour = "var(--" + SLUG[result.class] + ")";
  if (result.low !== null)
    group.append(
      draw("line", {
        x1: at.x(result.low),
        x2: at.x(result.high),
        y1: y,
        y2: y,
        stroke: colour,
        "stroke-width": 2.2,
      }),
    );
  group.append(mark(result.class, at.x(result.value), y, 4.4));
}

function tipLines(row, results) {
  const data = study(),
    members = row[1];
  if (members.length !== 1) {
    const counts = {};
    for (const each of results) counts[each.class] = (counts[each.class] || 0) + 1;
    return [
      displayName(row[0]),
      Object.entries(counts)
        .map(([kind, number]) => number + " " + kind)
        .join(", ") || "not shown",
    ];
  }
  const index = members[0];
  return [
    displayName(row[0]),
    data.targets.kind[index] +
      ", " +
      data.targets.shape[index].replaceAll("x", "×") +
      ", " +
      count(data.targets.size[index]) +
      " weights",
    ...scoreNames().map(
      (score) => capital(wordOf(score)) + ": " + scoreSentence(scoreOf(index, score)),
    ),
  ];
}

function moveThrough(event, group, open) {
  const rows = [...group.parentNode.querySelectorAll(".row")],
    here = rows.indexOf(group);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to !== undefined && rows[to]) {
    rows[here].setAttribute("tabindex", -1);
    rows[to].setAttribute("tabindex", 0);
    rows[to].focus();
    event.preventDefault();
  } else if (event.key === "Enter" || event.key === " ") {
    open();
    event.preventDefault();
  }
}

function scrollToPanel() {
  const panel = document.getElementById("panel");
  if (
    getComputedStyle(panel).position === "static" &&
    panel.getBoundingClientRect().top > innerHeight * 0.6
  )
    panel.scrollIntoView({ block: "start" });
}

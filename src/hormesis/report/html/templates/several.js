// Several studies side by side: small multiples of scores, paths of ranks, what stays the same.
const OVER = {
  epochs: "Over the epochs",
  data: "Over the data sets",
  models: "Over the architectures",
  seeds: "Over the runs",
};

function several() {
  const all = shared.several;
  if (!all) return null;
  const box = section("several", OVER[all.over], "");
  if (all.refused) {
    box.append(
      el(
        "p",
        { class: "banner" },
        "These studies cannot be compared, so each is shown on its own. " + all.refused,
      ),
    );
    return box;
  }
  box.append(
    el(
      "div",
      {},
      ...all.lines.map((text) => el("p", {}, capital(text).replaceAll("-", "−") + ".")),
    ),
  );
  if (all.notes.length)
    box.append(
      el(
        "details",
        {},
        el("summary", { class: "small" }, "Notes on the comparison"),
        ...all.notes.map((text) => el("p", { class: "small soft" }, text)),
      ),
    );
  const bases = el("div", { class: "scroller" });
  box.append(el("h3", {}, "The unfiltered networks"), bases, baseTable(all));
  const maps = el("div", { class: "maps scroller" }),
    ranks = el("div", { class: "scroller" }),
    paths = el("div", { class: "scroller" });
  const heading = el("h3", {});
  box.append(
    pooledTrainings(all) || "",
    el("h3", {}, "Scores of every target in every study"),
    maps,
    heading,
    ranks,
    el(
      "details",
      { open: all.matches.length <= 24 },
      el("summary", {}, "Paths of classes, and the largest changes"),
      el("p", { class: "small soft" }, all.legend),
      paths,
    ),
  );
  watch(["theme", "score"], () => {
    const most = reach(SCORES.flatMap((score) => all.scores[score].value.flat()));
    clear(bases).append(basePicture(all, bases.clientWidth || 900));
    clear(maps).append(...SCORES.map((score) => multiple(all, score, most)));
    heading.textContent =
      "Order of the targets by " + state.score + " score, the lowest at the bottom";
    clear(ranks).append(rankPaths(all, ranks.clientWidth || 900));
    clear(paths).append(pathTable(all), changeTable(all));
  });
  watch(["target"], () => highlight(ranks));
  return box;
}

// How the unfiltered networks do: what every score is relative to.
function basePicture(all, width) {
  const wide = Math.max(300, Math.min(width, 120 + all.studies.length * 70)),
    height = 170,
    inPercent = study().percent;
  const most = inPercent ? 1 : Math.max(...all.base.clean, ...all.base.adversarial),
    last = all.studies.length - 1;
  const x = linear(0, Math.max(1, last), 48, wide - 96),
    y = linear(0, most, height - 30, 12);
  const made = draw("svg", {
    width: wide,
    height,
    role: "img",
    "aria-label":
      "Unfiltered " + study().performance + " of each study; the table below has the numbers",
  });
  for (const tick of ticks(0, most, 4))
    made.append(
      draw("line", { x1: 48, x2: wide - 96, y1: y(tick), y2: y(tick), stroke: "var(--faint)" }),
      words(42, y(tick) + 4, inPercent ? Math.round(100 * tick) + "\u202f%" : trimmed(tick), {
        "text-anchor": "end",
        "font-size": 11,
        class: "soft",
      }),
    );
  const every = Math.ceil(all.studies.length / 14);
  all.studies.forEach((name, place) => {
    if (place % every === 0)
      made.append(
        words(x(place), height - 10, short(name, 11), {
          "text-anchor": "middle",
          "font-size": 11,
          class: "soft",
        }),
      );
  });
  for (const [side, colour, dash] of SIDES) {
    const points = all.base[side].map((value, place) => [x(place), y(value)]);
    if (all.over === "epochs")
      made.append(
        draw("path", {
          d: line(points),
          fill: "none",
          stroke: "var(" + colour + ")",
          "stroke-width": 2,
          "stroke-dasharray": dash || null,
        }),
      );
    points.forEach(([cx, cy]) =>
      made.append(
        draw("circle", {
          cx,
          cy,
          r: 3,
          fill: side === "clean" ? "var(" + colour + ")" : "var(--ground)",
          stroke: "var(" + colour + ")",
          "stroke-width": 1.6,
        }),
      ),
    );
    const other = y(all.base[side === "clean" ? "adversarial" : "clean"][last]),
      close = Math.abs(other - points[last][1]) < 13;
    const name = words(
      points[last][0] + 10,
      points[last][1] + 4 + (close ? (side === "clean" ? -7 : 7) : 0),
      side,
      { "font-size": 12, "font-weight": 600 },
    );
    name.style.fill = "var(" + colour + ")";
    made.append(name);
  }
  return made;
}

function baseTable(all) {
  const one = study(),
    shownBase = (value) => (one.percent ? percent(value) : value.toPrecision(4));
  return el(
    "details",
    { open: all.studies.length <= 6 },
    el("summary", { class: "small" }, "The studies"),
    el(
      "div",
      { class: "scroller" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ...["study", "ε", "unfiltered, clean", "unfiltered, adversarial"].map((text) =>
              el("th", { scope: "col" }, text),
            ),
          ),
        ),
        el(
          "tbody",
          {},
          ...all.studies.map((name, place) =>
            el(
              "tr",
              {},
              el(
                "td",
                { class: "name" },
                el(
                  "a",
                  {
                    href: "#head",
                    onclick: (event) => {
                      event.preventDefault();
                      chooseStudy(name);
                    },
                  },
                  studyName(name),
                ),
              ),
              el("td", {}, all.base.epsilon[place].toPrecision(3)),
              el("td", {}, shownBase(all.base.clean[place])),
              el("td", {}, shownBase(all.base.adversarial[place])),
            ),
          ),
        ),
      ),
    ),
  );
}

// "3" alone says little: it is an epoch.
function studyName(name) {
  const over = shared.several && shared.several.over;
  return /^\d+$/.test(name) && ["epochs", "seeds"].includes(over)
    ? (over === "epochs" ? "epoch " : "seed ") + name
    : name;
}

function chooseStudy(name) {
  const place = shared.studies.indexOf(name);
  if (place < 0) return;
  show({ study: place });
  document.getElementById("head").scrollIntoView();
}

function multiple(all, score, most) {
  const found = all.scores[score],
    columns = all.studies.length,
    rows = all.matches.length;
  const cell = Math.max(7, Math.min(30, 260 / columns)),
    tall = rows > 80 ? 9 : 14,
    left = score === "clean" ? 134 : 8,
    top = 64;
  const made = draw("svg", {
    width: left + columns * cell + 26,
    height: top + rows * tall + 6,
    role: "img",
    "aria-label":
      "Heat map of " +
      score +
      " scores: " +
      rows +
      " targets by " +
      columns +
      " studies; the table of paths has the classes",
  });
  made.append(words(left, 12, capital(score), { "font-weight": 650 }));
  const turned = Math.max(...all.studies.map((name) => short(name, 12).length)) * 6 > cell;
  const every = Math.ceil(columns / 15);
  all.studies.forEach((name, place) => {
    if (place % every === 0)
      made.append(
        words(left + (place + 0.5) * cell, top - 6, short(name, 12), {
          "font-size": 10,
          class: "soft",
          "text-anchor": turned ? "start" : "middle",
          transform: turned ? `rotate(-45 ${left + (place + 0.5) * cell} ${top - 6})` : null,
        }),
      );
  });
  all.matches.forEach((match, row) => {
    const y = top + row * tall;
    if (left > 100 && tall > 9)
      made.append(
        words(left - 6, y + tall - 3.5, short(spelled(match), 21), {
          "font-size": 10.5,
          class: "soft",
          "text-anchor": "end",
        }),
      );
    all.studies.forEach((name, place) => {
      const value = found.value[row][place],
        label = study().classes[found.class[row][place]];
      const square = draw("rect", {
        x: left + place * cell + 0.3,
        y: y + 0.3,
        width: cell - 0.6,
        height: tall - 0.6,
        fill: value === null ? "var(--faint)" : tint(value, most).fill,
      });
      square.addEventListener("pointermove", (event) =>
        tip(
          [
            spelled(match) + ", " + studyName(name),
            capital(score) +
              ": " +
              said({
                value,
                low: found.low[row][place],
                high: found.high[row][place],
                class: label,
                point: study().classes[found.point[row][place]],
              }),
          ],
          event,
        ),
      );
      square.addEventListener("pointerleave", untip);
      made.append(square);
      if (cell >= 12 && tall > 9) {
        const letter = words(left + (place + 0.5) * cell, y + tall - 3.5, SHORT[label], {
          "text-anchor": "middle",
          "font-size": 9,
          "pointer-events": "none",
        });
        letter.style.fill = value === null ? "var(--ink)" : tint(value, most).ink;
        made.append(letter);
      }
    });
  });
  return made;
}

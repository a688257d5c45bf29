// Selective retraining: accuracy against ε, a line an arm, and what differs from retraining all.
const DASHES = {
  selective: "",
  everything: "7 3",
  fragile: "2 3",
  "random-size": "9 3 2 3",
  "random-layers": "4 2",
  none: "1 4",
};
const SHADES = {
  selective: "--clean",
  everything: "--ink",
  fragile: "--fragile",
  "random-size": "--antifragile",
  "random-layers": "--robust",
  none: "--soft",
};

function retraining() {
  if (!shared.retraining.length) return null;
  const box = section("retraining", "Selective retraining", "");
  for (const each of shared.retraining) {
    if (shared.retraining.length > 1) box.append(el("h3", {}, each.name));
    if (each.about) box.append(el("p", { class: "intro" }, each.about));
    if (!each.lines.length) {
      box.append(
        el(
          "p",
          { class: "soft" },
          "No controls were run, so that nothing can be said about what the selection did. Run it again with --controls.",
        ),
      );
      continue;
    }
    const attacks = [...new Set(each.lines.map((curve) => curve.attack))];
    const holder = el("div", { class: "maps scroller" });
    const seeds = Math.max(...each.lines.map((curve) => curve.seeds));
    box.append(
      el(
        "p",
        { class: "small soft" },
        "Accuracy against ε, a line an arm" +
          (seeds > 1
            ? ": its mean over " + seeds + " seeds, the band from the lowest to the highest."
            : ", of one seed."),
      ),
      armKeys(each),
      holder,
      effectsTable(each),
    );
    watch(["theme"], () =>
      clear(holder).append(...attacks.map((attack) => armChart(each, attack))),
    );
  }
  return box;
}

function armKeys(each) {
  const arms = [...new Set(each.lines.map((curve) => curve.arm))];
  return el(
    "ul",
    { class: "keys" },
    ...arms.map((arm) =>
      el(
        "li",
        {},
        draw(
          "svg",
          { width: 32, height: 10, "aria-hidden": "true" },
          draw("line", {
            x1: 0,
            x2: 32,
            y1: 5,
            y2: 5,
            stroke: "var(" + (SHADES[arm] || "--ink") + ")",
            "stroke-width": 2.2,
            "stroke-dasharray": DASHES[arm] || null,
          }),
        ),
        arm + (each.arms[arm] ? ": " + each.arms[arm] : ""),
      ),
    ),
  );
}

function armChart(each, attack) {
  const own = each.lines.filter((curve) => curve.attack === attack),
    width = Math.min(540, innerWidth - 40),
    height = 300;
  const most = Math.max(...own.flatMap((curve) => curve.epsilon)),
    x = linear(0, most, 44, width - 14),
    top = Math.max(...own.flatMap((curve) => curve.high)),
    y = linear(0, top * 1.04, height - 40, 26);
  const made = draw("svg", {
    width,
    height,
    role: "img",
    "aria-label":
      attack +
      ": accuracy against ε. " +
      own
        .map(
          (curve) =>
            curve.arm +
            " from " +
            percent(curve.accuracy[0]) +
            " to " +
            percent(curve.accuracy[curve.accuracy.length - 1]),
        )
        .join("; "),
  });
  made.append(words(44, 14, attack.toUpperCase(), { "font-weight": 650 }));
  for (const tick of ticks(0, top, 5))
    made.append(
      draw("line", { x1: 44, x2: width - 14, y1: y(tick), y2: y(tick), stroke: "var(--faint)" }),
      words(38, y(tick) + 4, Math.round(100 * tick) + "\u202f%", {
        "text-anchor": "end",
        "font-size": 11,
        class: "soft",
      }),
    );
  for (const tick of ticks(0, most, 5))
    made.append(
      words(x(tick), height - 22, trimmed(tick), {
        "text-anchor": "middle",
        "font-size": 11,
        class: "soft",
      }),
    );
  made.append(
    words(width - 14, height - 5, "ε, in input units", {
      "text-anchor": "end",
      "font-size": 11,
      class: "soft",
    }),
  );
  for (const curve of own) {
    const colour = "var(" + (SHADES[curve.arm] || "--ink") + ")",
      xs = curve.epsilon.map((value) => x(value));
    if (curve.seeds > 1)
      made.append(
        draw("path", {
          d: area(
            xs,
            curve.low.map((value) => y(value)),
            curve.high.map((value) => y(value)),
          ),
          fill: colour,
          opacity: 0.12,
        }),
      );
    const path = draw("path", {
      d: line(curve.accuracy.map((value, place) => [xs[place], y(value)])),
      fill: "none",
      stroke: colour,
      "stroke-width": 2.2,
      "stroke-dasharray": DASHES[curve.arm] || null,
    });
    path.addEventListener("pointermove", (event) =>
      tip(
        [
          curve.arm,
          ...curve.epsilon.map(
            (value, place) => "ε = " + trimmed(value) + ": " + percent(curve.accuracy[place]),
          ),
        ],
        event,
      ),
    );
    path.addEventListener("pointerleave", untip);
    made.append(path);
  }
  return made;
}

// A row an arm, a column an attack and ε.
function effectsTable(each) {
  if (!each.effects.length) return el("p", { class: "soft small" }, "No effects were computed.");
  const at = Object.fromEntries(each.columns.map((name, place) => [name, place]));
  const title = (row) =>
    row[at.attack] === "clean"
      ? "clean"
      : row[at.attack].toUpperCase() + ", ε = " + trimmed(row[at.epsilon]);
  const arms = [...new Set(each.effects.map((row) => row[at.arm]))],
    titles = [...new Set(each.effects.map(title))];
  const cell = (row) =>
    row
      ? el(
          "td",
          {},
          el("b", {}, signed(row[at.difference] === null ? null : 100 * row[at.difference], 1)),
          el(
            "span",
            { class: "width" },
            (row[at.low] === null
              ? ""
              : signed(100 * row[at.low], 1) + " to " + signed(100 * row[at.high], 1) + ", ") +
              row[at.verdict],
          ),
        )
      : el("td", {}, "–");
  return el(
    "div",
    { class: "scroller" },
    el(
      "table",
      {},
      el(
        "caption",
        {},
        "Difference in accuracy from retraining everything, in points, paired by seed and sample",
      ),
      el(
        "thead",
        {},
        el("tr", {}, ...["arm", ...titles].map((text) => el("th", { scope: "col" }, text))),
      ),
      el(
        "tbody",
        {},
        ...arms.map((arm) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, arm),
            ...titles.map((text) =>
              cell(each.effects.find((row) => row[at.arm] === arm && title(row) === text)),
            ),
          ),
        ),
      ),
    ),
  );
}

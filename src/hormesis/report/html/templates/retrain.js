// Selective retraining: the picture of the arms, and what differs from retraining everything.
function retraining() {
  if (!shared.retraining.length) return null;
  const box = section("retraining", "Selective retraining", "");
  shared.retraining.forEach((each, index) => {
    if (shared.retraining.length > 1) box.append(el("h3", {}, each.name));
    if (each.about) box.append(el("p", { class: "intro" }, each.about));
    if (!each.controls) {
      const without =
        "No controls were run, so that nothing can be said about what the selection did. Run it again with --controls.";
      box.append(el("p", { class: "soft" }, without));
      return;
    }
    const arms = Object.entries(each.arms).map(([arm, meaning]) =>
      el("li", {}, arm + (meaning ? ": " + meaning : "")),
    );
    box.append(
      el("ul", { class: "keys" }, ...arms),
      picture("retraining-" + index) || "",
      effectsTable(each),
    );
  });
  return box;
}

// A row an arm, a column an attack and ε.
function effectsTable(each) {
  if (!each.effects.length) return el("p", { class: "soft small" }, "No effects were computed.");
  const rows = each.effects.map((values) =>
    Object.fromEntries(each.columns.map((name, index) => [name, values[index]])),
  );
  const title = (row) =>
    row.attack === "clean"
      ? "clean"
      : row.attack.toUpperCase() + ", ε = " + formatNumber(row.epsilon);
  const points = (value) => formatSigned(value === null ? null : 100 * value, 1);
  const cell = (row) => {
    if (!row) return "–";
    const ends = row.low === null ? "" : points(row.low) + " to " + points(row.high) + ", ";
    return [
      el("b", {}, points(row.difference)),
      el("span", { class: "width" }, ends + row.verdict),
    ];
  };
  const titles = [...new Set(rows.map(title))];
  const table = grid(
    ["arm", ...titles],
    [...new Set(rows.map((row) => row.arm))].map((arm) => [
      arm,
      ...titles.map((text) => cell(rows.find((row) => row.arm === arm && title(row) === text))),
    ]),
    "Difference in accuracy from retraining everything, in points, paired by seed and sample",
  );
  return el("div", { class: "scroller" }, table);
}

// Selective retraining: whether the selection did better than chance, the picture of the arms, and
// the differences between them.
function retraining() {
  if (!shared.retraining.length) return null;
  const box = section("retraining", "Selective retraining", "");
  shared.retraining.forEach((each, index) => {
    if (shared.retraining.length > 1) box.append(el("h3", {}, each.name));
    box.append(...each.answer.map((text) => el("p", { class: "standfirst" }, text)));
    if (each.about) box.append(el("p", { class: "intro" }, each.about));
    if (!each.controls) {
      const without =
        "No controls were run, so that nothing can be said about what the selection did. Run it again with --controls.";
      box.append(el("p", { class: "soft" }, without));
      return;
    }
    const arms = Object.entries(each.arms).map(([arm, meaning]) =>
      el("li", {}, el("span", {}, el("b", {}, arm), meaning ? " trains " + meaning : "")),
    );
    box.append(
      picture("retraining-" + index) || "",
      el("ul", { class: "keys" }, ...arms),
      effectsTable(each.against, "The selective arm against each other arm") || "",
      effectsOfArms(each),
    );
  });
  return box;
}

// How each arm compares with regular training.
function effectsOfArms(each) {
  const table = effectsTable(each.effects, "Each arm against retraining everything");
  if (!table) return el("p", { class: "soft small" }, "No effects were computed.");
  return foldable("Each arm against retraining everything", false, table);
}

// A row an arm, a column an attack and ε.
function effectsTable(of, what) {
  if (!of) return null;
  const cell = (texts) =>
    texts ? [el("b", {}, texts[0]), el("span", { class: "width" }, texts[1])] : "–";
  const table = grid(
    ["arm", ...of.heads],
    of.rows.map(([arm, ...cells]) => [arm, ...cells.map(cell)]),
  );
  const caption =
    what +
    ": difference in accuracy, in points, paired by seed and sample, with 95\u202f% intervals";
  return el(
    "div",
    {},
    el("p", { class: "small soft" }, caption),
    el("div", { class: "scroller" }, table),
  );
}

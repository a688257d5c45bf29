// Every score at a glance: the picture of a study of few targets, and a map by layer of many.
function heat() {
  const box = section("heat", "Every score at a glance"),
    body = el("div", {});
  box.append(body);
  watch(["score", "filter", "search"], () => {
    const data = study(),
      drawn = picture("heatmap-" + state.study),
      groups = data.groups || [];
    box.hidden = !drawn && !groups.length;
    if (groups.length) fillMap(clear(body), groups);
    else if (drawn && body.dataset.study !== String(state.study)) fillPicture(clear(body), drawn);
    body.dataset.study = state.study;
  });
  return box;
}

function fillPicture(body, drawn) {
  body.append(
    el(
      "p",
      { class: "intro" },
      "Layers in the order of the data, by the " +
        stressName(study().main) +
        "; orange is fragile, purple antifragile. A question mark means undecided. The table below has every sweep and interval.",
    ),
    drawn,
  );
}

// A row a layer, which opens to its targets; what the search leaves out is not there.
function fillMap(body, groups) {
  const indices = groups.flatMap(([, members]) => members),
    values = indices.map((index) => Math.abs(scoreOf(index).value || 0)),
    reach = Math.max(0.1, ...values);
  const shown = groups
    .map(([name, members]) => [name, members.filter(isFound)])
    .filter(([, members]) => members.length);
  const found = shown.reduce((sum, [, members]) => sum + members.length, 0),
    all = el(
      "div",
      { class: "map" },
      ...shown.map((group) => mapRow(group, reach, found <= FEW_CELLS)),
    );
  const toggle = (open) => () => {
    for (const each of all.children) each.open = open;
  };
  body.append(
    el(
      "p",
      { class: "intro" },
      "The " +
        wordOf(state.score) +
        " score of every target, layer by layer in the order of the data, " +
        stressName(state.filter) +
        ". Open a layer to see and choose its targets; a letter says the class, a small one with a question mark the estimate of an undecided one.",
    ),
    el(
      "div",
      { class: "tools screen" },
      mapLegend(reach),
      el("span", { class: "soft", role: "status" }, found + " of " + indices.length + " targets"),
      button("Open all layers", toggle(true)),
      button("Close all", toggle(false)),
    ),
    all,
  );
}
const FEW_CELLS = 60; // found by a search: shown at once
const openLayers = new Set(); // which stay open on another score

function mapRow([name, members], reach, open) {
  const counts = new Map();
  for (const index of members) {
    const kind = scoreOf(index).class;
    counts.set(kind, (counts.get(kind) || 0) + 1);
  }
  const cells = el("div", { class: "cells" });
  const row = el(
    "details",
    { open: open || openLayers.has(name) },
    el(
      "summary",
      {},
      el("span", { class: "name" }, displayName(name)),
      strip(members, reach),
      el(
        "span",
        { class: "counts" },
        ...shared.classes
          .filter(([kind]) => counts.has(kind))
          .map(([kind]) =>
            el(
              "span",
              { title: kind },
              badge(kind),
              " " + counts.get(kind),
              hiddenText(" " + kind),
            ),
          ),
      ),
    ),
    cells,
  );
  const fill = () => {
    if (row.open && !cells.children.length)
      cells.append(...members.map((index) => mapCell(name, index, reach)));
  };
  row.addEventListener("toggle", () => {
    fill();
    if (!state.search) openLayers[row.open ? "add" : "delete"](name);
  });
  fill();
  return row;
}

function hiddenText(text) {
  return el("span", { class: "hidden" }, text);
}

function scaleColour(value, reach) {
  if (value === null) return shared.missing;
  const last = shared.scale.length - 1;
  return shared.scale[Math.round(((value / reach + 1) / 2) * last)];
}

function strip(members, reach) {
  return draw(
    "svg",
    { viewBox: "0 0 " + members.length + " 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    ...members.map((index, place) =>
      draw("rect", {
        x: place,
        width: 1.02, // no gaps where widths are rounded
        height: 1,
        fill: scaleColour(scoreOf(index).value, reach)[0],
      }),
    ),
  );
}

function mapCell(group, index, reach) {
  const result = scoreOf(index),
    name = displayName(study().targets.name[index]),
    [ground, letters] = scaleColour(result.value, reach);
  const letter = result.class === "undecided" ? result.point[0] + "?" : SHORT[result.class];
  const cell = el(
    "button",
    {
      type: "button",
      title: name + ": " + scoreSentence(result),
      onclick: () => {
        show({ target: index });
        document.getElementById("panel").scrollIntoView({ block: "nearest" });
      },
    },
    el("span", {}, tail(name, displayName(group))),
    " ",
    el("b", {}, formatSigned(result.value) + " " + letter),
    hiddenText(" " + result.class),
  );
  cell.style.background = ground;
  cell.style.color = letters;
  return cell;
}

// What a target is called within its group: the number of a channel, the end of a name.
function tail(name, group) {
  const bare = group.replace(/\.weight$/, "");
  const rest = name.startsWith(bare) ? name.slice(bare.length).replace(/^\.?(weight)?/, "") : name;
  return rest || name;
}

function mapLegend(reach) {
  const bar = draw(
    "svg",
    { viewBox: "0 0 " + shared.scale.length + " 1", preserveAspectRatio: "none" },
    ...shared.scale.map(([fill], x) => draw("rect", { x, width: 1.02, height: 1, fill })),
  );
  bar.setAttribute("aria-hidden", "true");
  return el(
    "span",
    { class: "scale" },
    "fragile " + formatSigned(-reach, 1),
    bar,
    formatSigned(reach, 1) + " antifragile",
  );
}

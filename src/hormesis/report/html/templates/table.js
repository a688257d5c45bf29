// Every target in a table that sorts and searches, and what is plotted as CSV.
const PAGE = 150;
const order = { column: "place", down: false, most: PAGE, search: "" };

function table() {
  const box = section("table", "Every target", "");
  const find = el("input", {
    type: "search",
    id: "find",
    placeholder: "conv, linear, fragile …",
    oninput: () => {
      order.search = find.value;
      order.most = PAGE;
      fill();
    },
  });
  const shown = el("span", { class: "soft", role: "status" });
  const tools = el(
    "div",
    { class: "tools" },
    el("label", { for: "find" }, "Search"),
    find,
    shown,
    button("Scores as CSV", () => download("scores", scoresTable())),
    button("Responses as CSV", () => download("responses", responsesTable())),
  );
  const head = el("tr", {}),
    body = el("tbody", {}),
    more = button("", () => {
      order.most += 1000;
      fill();
    });
  const caption = el("caption", {});
  box.append(
    tools,
    el(
      "div",
      { class: "scroller" },
      el("table", { id: "targets" }, caption, el("thead", {}, head), body),
    ),
    more,
  );
  for (const [key, text] of [...COLUMNS, ...SCORES.map((score) => [score, score])])
    head.append(headCell(key, text, () => fill()));
  const fill = () => {
    const one = study(),
      places = sorted(one);
    caption.textContent = captionOf(one);
    shown.textContent = places.length + " of " + one.targets.name.length;
    clear(body).append(...places.slice(0, order.most).map((place) => targetRow(one, place)));
    more.textContent = "Show more of " + places.length;
    more.hidden = places.length <= order.most;
    for (const each of head.children) {
      if (each.dataset.key === order.column)
        each.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else each.removeAttribute("aria-sort");
    }
    chosenRow(body);
  };
  watch(["filter"], fill);
  watch(["target"], () => chosenRow(body));
  return box;
}

const COLUMNS = [
  ["place", "#"],
  ["name", "layer"],
  ["size", "weights"],
];

// A heading that sorts the table by its column, and the other way round when it is pressed again.
function headCell(key, text, fill) {
  const kind = { name: "name", place: "number", size: "number" }[key] || "";
  const onclick = () => {
    order.down = order.column === key && !order.down;
    order.column = key;
    fill();
  };
  return el(
    "th",
    { scope: "col", "data-key": key, class: kind },
    el("button", { type: "button", onclick }, text),
  );
}

function captionOf(one) {
  return (
    capital(filterName(state.filter)) +
    " scores with " +
    100 * one.scoring.level +
    "\u202f% intervals; reference " +
    one.scoring.reference +
    ", base " +
    one.scoring.base +
    ", robust within ±" +
    one.scoring.tolerance +
    ". Below, without a class: " +
    READINGS[one.beside] +
    "."
  );
}

function button(text, act) {
  return el("button", { class: "plain", type: "button", onclick: act }, text);
}

function chosenRow(body) {
  for (const row of body.children)
    row.classList.toggle("chosen", Number(row.dataset.place) === state.target);
}

function sorted(one) {
  const wanted = order.search.trim().toLowerCase().split(/\s+/).filter(Boolean),
    column = order.column;
  const text = (place) =>
    [
      one.targets.name[place],
      one.targets.kind[place],
      ...SCORES.map((score) => scoreOf(place, score).class),
    ]
      .join(" ")
      .toLowerCase();
  const places = one.targets.name
    .map((_, place) => place)
    .filter((place) => wanted.every((word) => text(place).includes(word)));
  const key = (place) =>
    column === "place"
      ? place
      : SCORES.includes(column)
        ? scoreOf(place, column).value
        : one.targets[column][place];
  const sense = order.down ? -1 : 1;
  return places.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b; // without a number: last
    return (
      (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) * sense || a - b
    );
  });
}

function targetRow(one, place) {
  const name = spelled(one.targets.name[place]);
  const open = () => {
    show({ target: place });
    document.getElementById("panel").scrollIntoView({ block: "nearest" });
  };
  return el(
    "tr",
    { class: "pick", "data-place": place, onclick: open },
    el("td", { class: "number soft" }, place + 1),
    el(
      "td",
      { class: "name" },
      el(
        "a",
        {
          href: "#network",
          onclick: (event) => {
            event.preventDefault();
            event.stopPropagation();
            open();
          },
        },
        name,
      ),
      el(
        "span",
        { class: "width" },
        [one.targets.kind[place], one.targets.shape[place].replaceAll("x", "×")]
          .filter(Boolean)
          .join(" "),
      ),
    ),
    el("td", { class: "number" }, count(one.targets.size[place])),
    ...SCORES.map((score) => scoreCell(place, score)),
  );
}

function scoreCell(place, score) {
  const found = scoreOf(place, score);
  if (found.value === null)
    return el(
      "td",
      { "data-score": score, "data-class": found.class },
      badge(found.class),
      " ",
      found.class,
    );
  const estimate = found.class === "undecided" ? ", estimate " + found.point : "";
  return el(
    "td",
    { "data-score": score, "data-class": found.class, "data-value": found.value },
    badge(found.class),
    " ",
    el("b", {}, signed(found.value, 3)),
    " ",
    el("span", { class: SLUG[found.class], title: MEANING[found.class] }, found.class),
    el(
      "span",
      { class: "width" },
      (found.low === null ? "" : signed(found.low, 3) + " to " + signed(found.high, 3)) + estimate,
    ),
    el("span", { class: "width beside" }, besideOf(found, 3)),
  );
}

// Exactly what is plotted, every digit of it.
function scoresTable() {
  const one = study(),
    rows = [
      [
        "study",
        "target",
        "kind",
        "shape",
        "size",
        "filter",
        "score",
        "value",
        "low",
        "high",
        "level",
        "class",
        "point",
        "beside",
        "says",
      ],
    ];
  one.targets.name.forEach((name, place) => {
    for (const filter of Object.keys(one.scores))
      for (const score of SCORES) {
        const found = scoreOf(place, score, filter);
        rows.push([
          one.label,
          name,
          one.targets.kind[place],
          one.targets.shape[place],
          one.targets.size[place],
          filter,
          score,
          found.value,
          found.low,
          found.high,
          one.scoring.level,
          found.class,
          found.point,
          found.beside,
          found.says,
        ]);
      }
  });
  return rows;
}

function responsesTable() {
  const one = study(),
    columns = [
      "alpha",
      "zeroed",
      "density",
      "clean",
      "clean_low",
      "clean_high",
      "adversarial",
      "adversarial_low",
      "adversarial_high",
      "random_clean",
      "random_adversarial",
    ];
  const there = columns.filter((column) =>
    Object.values(one.curves).some((own) => column in Object.values(own.filters)[0]),
  );
  const rows = [["study", "target", "filter", "step", ...there]];
  for (const [place, own] of Object.entries(one.curves))
    for (const [filter, sweep] of Object.entries(own.filters)) {
      sweep.alpha.forEach((_, step) =>
        rows.push([
          one.label,
          one.targets.name[place],
          filter,
          step,
          ...there.map((column) => sweep[column][step]),
        ]),
      );
    }
  return rows;
}

// A spreadsheet takes text that begins like a formula for one; an apostrophe keeps it text.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}

function csv(rows) {
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function download(what, rows) {
  const address = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
  const link = el("a", {
    href: address,
    download:
      [shared.studies.length > 1 ? study().label : "", what]
        .filter(Boolean)
        .join("-")
        .replace(/[^\w.-]+/g, "-") + ".csv",
  });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

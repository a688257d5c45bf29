// Every target in a table that sorts and searches, and what is plotted as CSV.
const PAGE = 150;
const order = { column: "place", down: false, most: PAGE };

function table() {
  const box = section("table", "Every target", "");
  const shown = el("span", { class: "soft", role: "status" });
  const tools = el(
    "div",
    { class: "tools" },
    ...searchField("find"),
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
  const fill = () => {
    fillHead(head, fill);
    const data = study(),
      indices = sortedIndices(data);
    caption.textContent = captionOf(data);
    shown.textContent = indices.length + " of " + data.targets.name.length;
    clear(body).append(...indices.slice(0, order.most).map((index) => targetRow(data, index)));
    more.textContent = "Show more of " + indices.length;
    more.hidden = indices.length <= order.most;
    for (const each of head.children) {
      if (each.dataset.key === order.column)
        each.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else each.removeAttribute("aria-sort");
    }
    markChosenRow(body);
  };
  watch(["filter"], fill);
  watch(["score"], () => {
    if (state.search) fill(); // which asks for its classes
  });
  watch(["search"], () => {
    order.most = PAGE;
    fill();
  });
  watch(["target"], () => markChosenRow(body));
  return box;
}

const COLUMNS = [
  ["place", "#"],
  ["name", "layer"],
  ["size", "weights"],
];

// Make the headings anew for other scores only: whoever sorts by one keeps the focus.
function fillHead(head, fill) {
  const names = scoreNames();
  const words = names.map(wordOf).join();
  if (head.dataset.scores === words) return;
  head.dataset.scores = words;
  const columns = [...COLUMNS, ...names.map((score) => [score, wordOf(score)])];
  clear(head).append(...columns.map(([key, text]) => headCell(key, text, fill)));
  if (!columns.some(([key]) => key === order.column)) order.column = "place";
}

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

function captionOf(data) {
  return (
    capital(filterName(state.filter)) +
    " scores with " +
    100 * data.scoring.level +
    "\u202f% intervals; reference " +
    data.scoring.reference +
    ", base " +
    data.scoring.base +
    ", robust within ±" +
    data.scoring.tolerance +
    (data.beside ? ". Below, without a class: " + READINGS[data.beside] : "") +
    "."
  );
}

function button(text, act) {
  return el("button", { class: "plain", type: "button", onclick: act }, text);
}

function markChosenRow(body) {
  for (const row of body.children)
    row.classList.toggle("chosen", Number(row.dataset.place) === state.target);
}

function sortedIndices(data) {
  const column = order.column;
  const indices = data.targets.name.map((_, index) => index).filter(isFound);
  const key = (index) =>
    column === "place"
      ? index
      : scoreNames().includes(column)
        ? scoreOf(index, column).value
        : data.targets[column][index];
  const sense = order.down ? -1 : 1;
  return indices.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b; // without a number: last
    return (
      (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) * sense || a - b
    );
  });
}

function targetRow(data, index) {
  const name = displayName(data.targets.name[index]);
  const open = () => {
    show({ target: index });
    document.getElementById("panel").scrollIntoView({ block: "nearest" });
  };
  return el(
    "tr",
    { class: "pick", "data-place": index, onclick: open },
    el("td", { class: "number soft" }, index + 1),
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
        [data.targets.kind[index], data.targets.shape[index].replaceAll("x", "×")]
          .filter(Boolean)
          .join(" "),
      ),
    ),
    el("td", { class: "number" }, count(data.targets.size[index])),
    ...scoreNames().map((score) => scoreCell(index, score)),
  );
}

function scoreCell(index, score) {
  const result = scoreOf(index, score);
  if (result.value === null)
    return el(
      "td",
      { "data-score": score, "data-class": result.class },
      badge(result.class),
      " ",
      result.class,
    );
  const estimate = result.class === "undecided" ? ", estimate " + result.point : "";
  return el(
    "td",
    { "data-score": score, "data-class": result.class, "data-value": result.value },
    badge(result.class),
    " ",
    el("b", {}, formatSigned(result.value, 3)),
    " ",
    el("span", { class: SLUG[result.class], title: MEANING[result.class] }, result.class),
    el(
      "span",
      { class: "width" },
      (result.low === null
        ? ""
        : formatSigned(result.low, 3) + " to " + formatSigned(result.high, 3)) + estimate,
    ),
    el("span", { class: "width beside" }, besideOf(result, 3)),
  );
}

// Exactly what is plotted, every digit of it.
function scoresTable() {
  const data = study(),
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
  data.targets.name.forEach((name, index) => {
    for (const filter of Object.keys(data.scores))
      for (const score of scoreNames()) {
        const result = scoreOf(index, score, filter);
        rows.push([
          data.label,
          name,
          data.targets.kind[index],
          data.targets.shape[index],
          data.targets.size[index],
          filter,
          score,
          result.value,
          result.low,
          result.high,
          data.scoring.level,
          result.class,
          result.point,
          result.beside,
          result.says,
        ]);
      }
  });
  return rows;
}

function responsesTable() {
  const data = study(),
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
  const present = columns.filter((column) =>
    Object.values(data.curves).some((own) => column in Object.values(own.filters)[0]),
  );
  const rows = [["study", "target", "filter", "step", ...present]];
  for (const [index, own] of Object.entries(data.curves))
    for (const [filter, sweep] of Object.entries(own.filters)) {
      sweep.alpha.forEach((_, step) =>
        rows.push([
          data.label,
          data.targets.name[index],
          filter,
          step,
          ...present.map((column) => sweep[column][step]),
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
  saveFile(what, "csv", new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
}

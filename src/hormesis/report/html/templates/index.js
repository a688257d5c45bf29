"use strict";
// The table of an index: colours of the reader's choice, and rows in the order of any column.
function valueOf(row, column) {
  const cell = row.cells[column];
  if (!("value" in cell.dataset)) return cell.textContent.trim();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

// Numbers by size, texts by the alphabet with numbers in them by size; what is missing comes last.
function compareRows(column, direction) {
  return (one, other) => {
    const [left, right] = [valueOf(one, column), valueOf(other, column)];
    if (left === null || right === null) return (left === null) - (right === null);
    const order =
      typeof left === "number"
        ? left - right
        : left.localeCompare(right, undefined, { numeric: true });
    return direction * order;
  };
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells],
    body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort"),
        first = head.dataset.first || "ascending",
        second = first === "ascending" ? "descending" : "ascending",
        order = before === first ? second : first;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const direction = order === "ascending" ? 1 : -1;
      body.append(...[...body.rows].sort(compareRows(column, direction)));
    });
  });
}

function themeSwitch() {
  const root = document.documentElement,
    button = document.createElement("button");
  button.type = "button";
  button.className = "plain screen";
  const use = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute(
      "aria-label",
      button.textContent + ": switch to " + button.textContent.toLowerCase() + " colours",
    );
  };
  button.addEventListener("click", () => use(root.dataset.theme === "dark" ? "light" : "dark"));
  use(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  addEventListener("beforeprint", () => use("light"));
  document.querySelector(".over").append(button);
}

themeSwitch();
sortable(document.getElementById("studies"));
document.documentElement.dataset.ready = "true";

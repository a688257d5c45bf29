// Pictures that were drawn beforehand: they wait in a template, and say nothing but what tables say.
function picture(name) {
  const drawn = document
    .getElementById("pictures")
    .content.querySelector('[data-picture="' + name + '"]');
  if (!drawn) return null;
  const element = drawn.cloneNode(true);
  element.style.width = PICTURE_SCALE * Number(element.dataset.points) + "px";
  return el("div", { class: "scroller card" }, element);
}
const PICTURE_SCALE = 2.2; // pixels a point: a screen is further away than paper

// A table from texts and elements; a cell that is a list holds several.
function grid(heads, rows, caption) {
  return el(
    "table",
    {},
    caption ? el("caption", {}, caption) : null,
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ...heads.map((text) => (text ? el("th", { scope: "col" }, text) : el("td", {}))),
      ),
    ),
    el(
      "tbody",
      {},
      ...rows.map((cells) =>
        el(
          "tr",
          {},
          ...cells.map((cell, index) => el("td", { class: index ? "" : "name" }, ...[cell].flat())),
        ),
      ),
    ),
  );
}

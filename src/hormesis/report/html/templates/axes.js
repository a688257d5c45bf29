// Scales, paths and groups of choices.
function linear(from, to, start, end) {
  const slope = (end - start) / (to - from || 1);
  return (value) => start + (value - from) * slope;
}

function ticks(from, to, most) {
  const raw = (to - from) / Math.max(1, most),
    size = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * size >= raw) * size;
  const result = [];
  for (let index = Math.ceil(from / step - 1e-9); index * step <= to + step * 1e-9; index++)
    result.push(Number((index * step).toPrecision(12)));
  return result;
}

function formatNumber(value) {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

function dark() {
  return document.documentElement.dataset.theme === "dark";
}

function choice(legend, name, options, chosen, pick, hidden) {
  const group = el("span", { class: "segments" });
  for (const [value, text] of options) {
    const input = el("input", {
      type: "radio",
      name,
      value: String(value),
      onchange: () => pick(value),
    });
    input.checked = value === chosen;
    group.append(el("label", {}, input, el("span", {}, text)));
  }
  return el(
    "fieldset",
    { class: "choice" },
    el("legend", { class: hidden ? "hidden" : "" }, legend),
    group,
  );
}

const ALWAYS = new Set(["fragile", "robust", "antifragile", "undecided", "untested"]);

function classKeys() {
  const counts = Object.values(study().counts[study().main]).flat();
  const present = new Set(counts.map(([kind]) => kind));
  const kinds = shared.classes
    .map(([kind]) => kind)
    .filter((kind) => ALWAYS.has(kind) || present.has(kind))
    .map((kind) => [kind, kind === "untested" ? "not tested or not defined" : kind]);
  return el(
    "ul",
    { class: "keys" },
    ...kinds.map(([kind, text]) => el("li", {}, badge(kind), text)),
  );
}

// A path through points, broken where there is none.
function line(points) {
  let open = false;
  return points
    .map(([x, y]) => {
      if (y === null || Number.isNaN(y)) {
        open = false;
        return "";
      }
      const step = (open ? "L" : "M") + x.toFixed(1) + "," + y.toFixed(1);
      open = true;
      return step;
    })
    .join("");
}

function area(xs, lower, upper) {
  if (lower.some((value) => value === null) || upper.some((value) => value === null)) return "";
  const forward = xs.map((x, index) => x.toFixed(1) + "," + upper[index].toFixed(1));
  const back = xs.map((x, index) => x.toFixed(1) + "," + lower[index].toFixed(1)).reverse();
  return "M" + [...forward, ...back].join("L") + "Z";
}

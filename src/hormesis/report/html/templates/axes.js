// Scales, colours of scores, and groups of choices.
function linear(from, to, start, end) {
  const slope = (end - start) / (to - from || 1);
  return (value) => start + (value - from) * slope;
}

function ticks(from, to, wanted) {
  const raw = (to - from) / Math.max(1, wanted),
    size = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * size >= raw) * size;
  const found = [];
  for (let place = Math.ceil(from / step - 1e-9); place * step <= to + step * 1e-9; place++)
    found.push(Number((place * step).toPrecision(12)));
  return found;
}

function trimmed(value) {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// Orange to purple by way of grey, as Matplotlib's PuOr, which the other pictures use.
const RAMPS = {
  light: [
    "#b35806",
    "#e08214",
    "#fdb863",
    "#fee0b6",
    "#f4f4f4",
    "#d8daeb",
    "#b2abd2",
    "#8073ac",
    "#542788",
  ],
  dark: [
    "#f9a552",
    "#c8761d",
    "#8a5213",
    "#4d3413",
    "#2a3038",
    "#37325c",
    "#584d8a",
    "#8474bd",
    "#bba9f0",
  ],
};

function dark() {
  return document.documentElement.dataset.theme === "dark";
}

function tint(value, reach) {
  const ramp = RAMPS[dark() ? "dark" : "light"];
  const at = Math.max(0, Math.min(0.99999, (value / reach + 1) / 2)) * (ramp.length - 1);
  const left = Math.floor(at),
    share = at - left;
  const parts = [1, 3, 5].map((place) => {
    const [one, other] = [ramp[left], ramp[left + 1]].map((code) =>
      parseInt(code.slice(place, place + 2), 16),
    );
    return Math.round(one + share * (other - one));
  });
  return {
    fill: "rgb(" + parts.join(",") + ")",
    ink: luminance(parts) > 0.33 ? "#16191d" : "#ffffff",
  };
}

function luminance(parts) {
  const [red, green, blue] = parts.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function reach(values) {
  let most = 0.1;
  for (const value of values) if (value !== null && Math.abs(value) > most) most = Math.abs(value);
  return most;
}

function ramp(most, label) {
  const width = 180,
    made = draw("svg", { width: width + 2, height: 30, role: "img", "aria-label": label });
  for (let place = 0; place < 60; place++) {
    made.append(
      draw("rect", {
        x: place * 3 + 1,
        y: 0,
        width: 3.2,
        height: 10,
        fill: tint((place / 29.5 - 1) * most, most).fill,
      }),
    );
  }
  [
    [0, "start", -most],
    [width / 2, "middle", 0],
    [width, "end", most],
  ].forEach(([x, anchor, value]) =>
    made.append(
      words(x + 1, 25, signed(value), { "text-anchor": anchor, class: "soft", "font-size": 11 }),
    ),
  );
  return made;
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
  const there = new Set(counts.map(([kind]) => kind));
  const kinds = shared.classes
    .map(([kind]) => kind)
    .filter((kind) => ALWAYS.has(kind) || there.has(kind))
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
  const there = xs.map((x, place) => x.toFixed(1) + "," + upper[place].toFixed(1));
  const back = xs.map((x, place) => x.toFixed(1) + "," + lower[place].toFixed(1)).reverse();
  return "M" + [...there, ...back].join("L") + "Z";
}

// What can be taken away: pictures as files, names by class as text, the page on paper.
const DRAWN = "svg:not([aria-hidden]):not(.mark)",
  SMALLEST = 60; // pixels of height; bars are no pictures
// What a picture needs of its style where there is no style sheet, and what goes without saying.
const LOOK = {
  fill: "rgb(0, 0, 0)",
  "fill-opacity": "1",
  stroke: "none",
  "stroke-width": "1px",
  "stroke-dasharray": "none",
  "stroke-linecap": "butt",
  "stroke-linejoin": "miter",
  "stroke-opacity": "1",
  opacity: "1",
  visibility: "visible",
  "vector-effect": "none",
};
const LETTERS = ["font-family", "font-size", "font-weight", "text-anchor"];
const EDGE = 12,
  CAPTION = 24,
  FINENESS = 2, // pixels of a PNG for each of the page
  MOST_PIXELS = 16000; // along a side, as browsers allow

// A pair of buttons beneath every picture; pictures are drawn again, so it is looked for them again.
function offerPictures() {
  const main = document.getElementById("main"),
    offered = new WeakMap();
  const offer = () => {
    for (const element of main.querySelectorAll(DRAWN)) {
      const host = element.closest(".scroller, #panel > div") || element;
      if (offered.get(host)?.isConnected) continue;
      if (element.getBoundingClientRect().height < SMALLEST) continue;
      const buttons = saveButtons(host),
        columns = host.closest(".split > .scroller") && host.parentElement;
      offered.set(host, buttons);
      if (columns) columns.before(buttons);
      else host.after(buttons);
    }
  };
  new MutationObserver(offer).observe(main, { childList: true, subtree: true });
  offer();
}

function saveButtons(host) {
  const one = (kind, save) => {
    const element = button(kind, () => save(host));
    element.setAttribute("aria-label", kind + ": save this picture, " + pictureName(host));
    return element;
  };
  return el(
    "div",
    { class: "save screen small soft", role: "group", "aria-label": "Save this picture" },
    "Save as ",
    one("SVG", saveSvg),
    one("PNG", savePng),
  );
}

// What a picture shows: the heading that it stands beneath.
function pictureName(host) {
  if (host.dataset.save) return host.dataset.save;
  const panel = host.closest("#panel");
  if (panel) return panel.querySelector("h3").textContent;
  let before = host.previousElementSibling;
  while (before && !before.matches("h2, h3")) before = before.previousElementSibling;
  return (before || host.closest("section").querySelector("h2")).textContent;
}

function saveSvg(host) {
  const text = new XMLSerializer().serializeToString(standalone(host));
  saveFile(pictureName(host), "svg", new Blob([text], { type: "image/svg+xml" }));
}

function savePng(host) {
  const whole = standalone(host),
    text = new XMLSerializer().serializeToString(whole);
  const [width, height] = ["width", "height"].map((side) => Number(whole.getAttribute(side)));
  const scale = Math.min(FINENESS, MOST_PIXELS / Math.max(width, height));
  const image = new Image();
  image.onload = () => {
    const canvas = el("canvas", {
      width: Math.round(scale * width),
      height: Math.round(scale * height),
    });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => saveFile(pictureName(host), "png", blob), "image/png");
  };
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
}

// The pictures of a box as one drawing that needs no page around it: colours, letters and ground as
// they are shown now.
function standalone(host) {
  const drawn = host.matches("svg") ? [host] : [...host.querySelectorAll(DRAWN)];
  const sizes = drawn.map((each) => each.getBoundingClientRect());
  const width = Math.ceil(Math.max(...sizes.map((size) => size.width))) + 2 * EDGE;
  const whole = draw("svg", { xmlns: SVG });
  const name = headingOf(state.study) + " · " + pictureName(host);
  whole.append(
    draw("title", {}, name),
    draw("desc", {}, drawn.map((each) => each.getAttribute("aria-label")).join(" ")),
    draw("rect", { width: "100%", height: "100%", fill: groundOf(host) }),
  );
  let top = EDGE;
  drawn.forEach((each, index) => {
    const copy = copyOf(each);
    const { width: wide, height: high } = sizes[index];
    for (const [key, value] of Object.entries({ x: EDGE, y: top, width: wide, height: high }))
      copy.setAttribute(key, value);
    if (!copy.getAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    top += Math.ceil(high);
    whole.append(copy);
  });
  const letters = lettersOf(host),
    keys = keysOf(host, width, top + 6, letters);
  const height = keys.bottom + CAPTION;
  whole.append(
    ...keys.drawn,
    svgText(EDGE, height - 9, short(name, Math.floor((width - 2 * EDGE) / 6)), letters),
  );
  whole.setAttribute("width", width);
  whole.setAttribute("height", height);
  whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return whole;
}

// Letters as small as those of notes; a card is white whatever colours the page has.
function lettersOf(host) {
  const style = getComputedStyle(document.getElementById("foot"));
  return {
    "font-size": 11,
    "font-family": style.fontFamily,
    fill: host.closest(".card") ? "black" : style.color,
  };
}

// What marks and lines mean, which stands beside the picture on the page.
function keysOf(host, width, top, letters) {
  const own = host.querySelector(".keys"),
    list = host.closest(".card") ? null : own || host.closest("section").querySelector(".keys");
  const drawn = [];
  let left = EDGE,
    bottom = top;
  for (const item of list ? list.children : []) {
    const sample = item.querySelector("svg"),
      size = sample ? sample.getBoundingClientRect().width + 6 : 0,
      needed = size + 6.4 * item.textContent.length + 14;
    if (left > EDGE && left + needed > width - EDGE) [left, bottom] = [EDGE, bottom + 18];
    if (sample) {
      const copy = copyOf(sample);
      copy.setAttribute("x", left);
      copy.setAttribute("y", bottom + 8 - sample.getBoundingClientRect().height / 2);
      drawn.push(copy);
    }
    drawn.push(svgText(left + size, bottom + 12, item.textContent, letters));
    left += needed;
  }
  return { drawn, bottom: drawn.length ? bottom + 18 : top };
}

function groundOf(element) {
  const colour = getComputedStyle(element).backgroundColor;
  if (colour !== "rgba(0, 0, 0, 0)" || !element.parentElement) return colour;
  return groundOf(element.parentElement);
}

function copyOf(original) {
  const copy = original.cloneNode(true);
  const pairs = [original, ...original.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((each, index) => {
    if (!each.closest("defs")) setLook(each, pairs[index]); // what is in there inherits its look
    for (const name of each.getAttributeNames())
      if (/^(class|style|role|tabindex|aria-|data-)/.test(name)) each.removeAttribute(name);
  });
  for (const each of copy.querySelectorAll("[fill=none]:not([stroke]):is(rect, circle)"))
    each.remove(); // where the pointer is caught
  return copy;
}

function setLook(copy, original) {
  const style = getComputedStyle(original);
  for (const [name, usual] of Object.entries(LOOK)) {
    const value = style.getPropertyValue(name);
    const inherited = copy.parentElement?.closest("[" + name + "]");
    if (value === "rgba(0, 0, 0, 0)") copy.setAttribute(name, "none");
    else if (value !== usual || inherited) copy.setAttribute(name, value);
    else copy.removeAttribute(name);
  }
  if (original.matches("text, tspan"))
    for (const name of LETTERS) copy.setAttribute(name, style.getPropertyValue(name));
}

function saveFile(name, ending, blob) {
  const address = URL.createObjectURL(blob),
    study = headingOf(state.study);
  const file = (study + " " + name).replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "");
  const link = el("a", { href: address, download: file.slice(0, 120) + "." + ending });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// The names of the targets by class, to paste them into a configuration or a program.
function take() {
  const box = section("take", "To take away", "");
  const text = el("pre", { tabindex: 0, role: "region", "aria-label": "Names by class" }),
    done = el("span", { class: "soft small", role: "status" });
  let form = "yaml";
  const fill = () => {
    text.textContent = FORMS[form].write(namesByClass());
    done.textContent = "";
  };
  const forms = Object.entries(FORMS).map(([name, { label }]) => [name, label]);
  const pick = (name) => {
    form = name;
    fill();
  };
  const save = () => saveFile("names by class", FORMS[form].ending, new Blob([text.textContent]));
  box.append(
    el("h3", {}, "The names of the targets by class"),
    el(
      "div",
      { class: "tools" },
      choice("Form", "form", forms, form, pick),
      button("Copy the names", () => copyText(text, done)),
      button("Save the names", save),
      done,
    ),
    text,
    el("h3", {}, "Pictures, numbers, paper"),
    el(
      "p",
      { class: "small" },
      "Beneath every picture are buttons that save it as SVG or PNG, in the colours shown now; above the table, those that save all scores and responses as CSV. ",
    ),
    el(
      "p",
      {},
      button("Print, or save as PDF", () => print()),
    ),
  );
  box.classList.add("screen");
  watch(["score", "filter"], fill);
  return box;
}

// Names by class in the order of the classes, with what the classes are by.
function namesByClass() {
  const data = study(),
    { reference, base, tolerance } = data.scoring;
  const names = {};
  for (const kind of data.classes) names[kind] = [];
  data.targets.name.forEach((name, index) => names[scoreOf(index).class].push(name));
  const about =
    `${headingOf(state.study)}: ${wordOf(state.score)} score, ${stressName(state.filter)}, ` +
    `reference ${reference}, base ${base}, robust within ±${tolerance}`;
  return [about.replace(/\s+/g, " "), Object.entries(names).filter(([, own]) => own.length)];
}

// A text in double quotes, as YAML, Python and JSON read it alike.
function quoted(text) {
  return JSON.stringify(text).replace(
    /[\u007f-\u00a0\u2028\u2029\ufeff]/g,
    (each) => "\\u" + each.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

const FORMS = {
  yaml: {
    label: "YAML",
    ending: "yaml",
    write: ([about, classes]) =>
      "# " +
      about +
      "\n" +
      classes
        .map(
          ([kind, names]) => kind + ":\n" + names.map((name) => `  - ${quoted(name)}\n`).join(""),
        )
        .join(""),
  },
  python: {
    label: "Python lists",
    ending: "py",
    write: ([about, classes]) =>
      "# " +
      about +
      "\n" +
      classes
        .map(
          ([kind, names]) =>
            SLUG[kind].replaceAll("-", "_") +
            " = [\n" +
            names.map((name) => `    ${quoted(name)},\n`).join("") +
            "]\n",
        )
        .join(""),
  },
};

async function copyText(element, done) {
  try {
    await navigator.clipboard.writeText(element.textContent);
  } catch {
    // some viewers have no clipboard but that of a marked text
    getSelection().selectAllChildren(element);
    if (!document.execCommand("copy")) {
      done.textContent = "The names are marked: copy them by hand.";
      return;
    }
    getSelection().removeAllRanges();
  }
  done.textContent = "Copied.";
}

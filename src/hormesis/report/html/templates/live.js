// A study that is not finished: how far it is, and a page that follows it.
//
// A browser lets no page that was opened from disk read another file, not even its own. So the page
// reads itself anew, and finds there what a reader had opened, written, sorted and focused.
const QUIET = 2000, // milliseconds without a hand on the page before it is read anew
  HELD = 20000, // the same, while a reader holds a choice or has marked text
  LONGEST = 30000; // between two looks, while nothing new comes
const follow = { paused: false, touched: 0, pressed: false, wait: 0 };
const kept = history.state?.view || null; // of the reading before
if (kept) history.replaceState(null, ""); // whoever reads the page again by hand begins anew

function fillProgress(box, data) {
  const now = data.progress,
    live = document.querySelector("meta[name=again]");
  if (!now && !live) return;
  const banner = el("div", { class: "banner", role: "region", "aria-label": "Progress" });
  if (now) {
    const [measured, planned] = now.samples;
    banner.append(
      el("p", {}, el("b", {}, "Not finished: "), now.says + ". Everything here is an estimate."),
      el("progress", { max: planned, value: measured, "aria-label": "Samples measured" }),
    );
  }
  const more = now ? [leftText(now), asOfText(), idleText(now)] : [asOfText()];
  banner.append(
    el(
      "p",
      { class: "small" },
      capital(more.filter(Boolean).join(" · ")),
      " ",
      live ? followButton() : "",
    ),
  );
  box.append(banner);
}

function leftText(now) {
  return now.left ? "some " + now.left + " to go" : "";
}

function asOfText() {
  const moment = new Date(1000 * shared.as_of),
    clock = moment.toLocaleTimeString("en-GB"),
    today = moment.toDateString() === new Date().toDateString();
  const date = { day: "numeric", month: "long", year: "numeric" };
  return "as of " + (today ? "" : moment.toLocaleDateString("en-GB", date) + ", ") + clock;
}

// Whether somebody measured when the page was written, and whether anything came since.
function idleText(now) {
  if (!now.at_work) return "nobody works on it: the command that began it goes on with it";
  const late = Date.now() / 1000 - shared.as_of > 120 + 4 * (now.pace || 0);
  return late ? "nothing has come since; hormesis status says whether it is still measured" : "";
}

function followButton() {
  const element = button("", () => {
    follow.paused = !follow.paused;
    label();
  });
  const label = () => {
    element.textContent = follow.paused ? "Follow the study again" : "Stop following";
  };
  label();
  element.id = "follow";
  return element;
}

// Settings that have to be known before anything is drawn.
function restoreSettings() {
  if (!kept) return;
  Object.assign(order, kept.order);
  Object.assign(state, kept.state);
  follow.paused = kept.paused;
  document.documentElement.dataset.theme = kept.theme;
}

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

// Where an element stands: in which box with a name, under which words, as which of its kind.
function placeOf(element, kind) {
  const box = element.parentElement.closest("[id]") || document.body,
    words = wordsOf(element),
    peers = [...box.querySelectorAll(kind)];
  const alike = peers.filter((each) => wordsOf(each) === words);
  return [box.id, words, alike.indexOf(element), peers.indexOf(element)];
}

function wordsOf(element) {
  if (element.id) return "#" + element.id;
  if (element.matches("details")) return element.querySelector("summary")?.textContent || "";
  return element.value || element.dataset.name || element.textContent || "";
}

function elementAt([id, words, place, number], kind) {
  const box = document.getElementById(id) || document.body,
    peers = [...box.querySelectorAll(kind)];
  return peers.filter((each) => wordsOf(each) === words)[place] || peers[number] || null;
}

function focusOf(element) {
  if (!element || element === document.body) return null;
  const marked = element.matches("input:not([type=radio])") && [
    element.selectionStart,
    element.selectionEnd,
  ];
  return { place: placeOf(element, FOCUSABLE), ring: element.matches(":focus-visible"), marked };
}

// What a reader sees at the top of the window, so that it stays there if what is above it grows.
function anchor() {
  const boxes = [...document.querySelectorAll("main > section")];
  const box = boxes.find((each) => each.getBoundingClientRect().bottom > 0);
  return box && scrollY ? [box.id, box.getBoundingClientRect().top] : null;
}

function view() {
  return {
    order: { ...order },
    state: { relative: state.relative, search: state.search },
    paused: follow.paused,
    theme: document.documentElement.dataset.theme,
    focus: focusOf(document.activeElement),
    open: [...document.querySelectorAll("main details")].map((each) => [
      placeOf(each, "details"),
      each.open,
    ]),
    rolled: [...document.querySelectorAll(".scroller")].map((each) => [
      each.scrollLeft,
      each.scrollTop,
    ]),
    anchor: anchor(),
    as_of: shared.as_of,
    wait: follow.wait,
  };
}

// The rest of what a reader had done, once everything is drawn and has its width.
function restoreView() {
  if (!kept) return;
  for (const [place, open] of kept.open) {
    const element = elementAt(place, "details");
    if (element) element.open = open;
  }
  const roll = () => {
    document.querySelectorAll(".scroller").forEach((each, index) => {
      [each.scrollLeft, each.scrollTop] = kept.rolled[index] || [0, 0];
    });
    const box = kept.anchor && document.getElementById(kept.anchor[0]);
    if (box)
      scrollBy({ top: box.getBoundingClientRect().top - kept.anchor[1], behavior: "instant" });
  };
  roll();
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      restoreFocus(kept.focus);
      roll();
    }),
  );
}

function restoreFocus(focus) {
  const element = focus && elementAt(focus.place, FOCUSABLE);
  if (!element) return;
  element.focus({ preventScroll: true, focusVisible: focus.ring });
  if (focus.marked) element.setSelectionRange(...focus.marked);
}

// Whether a reader is in the middle of something.
function handsOn() {
  const since = Date.now() - follow.touched,
    holds = document.activeElement?.matches("select") || String(document.getSelection()).length > 0;
  return follow.pressed || since < (holds ? HELD : QUIET);
}

// Reads the page anew while its study is measured. A refresh by the browser would lose the view; and
// nothing changes under the hands of a reader, behind another window, or after `Stop following`.
function scheduleReload() {
  const meta = document.querySelector("meta[name=again]");
  if (!meta) return;
  const shortest = 1000 * Number(meta.content);
  follow.wait = kept && kept.as_of === shared.as_of ? Math.min(LONGEST, 1.5 * kept.wait) : shortest;
  follow.wait = Math.max(shortest, follow.wait);
  for (const kind of ["pointerdown", "keydown", "wheel", "touchmove", "input"])
    addEventListener(kind, () => (follow.touched = Date.now()), { passive: true, capture: true });
  addEventListener("pointerdown", () => (follow.pressed = true), { capture: true });
  for (const kind of ["pointerup", "pointercancel", "blur"])
    addEventListener(kind, () => (follow.pressed = false), { capture: true });
  const due = () => {
    if (follow.paused || document.hidden || handsOn()) setTimeout(due, 500);
    else readAnew();
  };
  setTimeout(due, follow.wait);
}

function readAnew() {
  try {
    history.replaceState({ view: view() }, "");
  } catch {
    /* some viewers forbid it: what was opened is closed again */
  }
  location.reload();
}

// Several studies side by side: small multiples of scores, paths of ranks, what stays the same.
const OVER = { epochs: "Over the epochs", data: "Over the data sets", models: "Over the architectures", seeds: "Over the runs" };

function several() {
  const all = shared.several;
  if (!all) return null;
  const box = section("several", OVER[all.over], "");
  if (all.refused) {
    box.append(el("p", { class: "banner" }, "These studies cannot be compared, so each is shown on its own. " + all.refused));
    return box;
  }
  box.append(el("div", {}, ...all.lines.map((text) => el("p", {}, capital(text).replaceAll("-", "−") + "."))));
  if (all.notes.length) box.append(el("details", {}, el("summary", { class: "small" }, "Notes on the comparison"), ...all.notes.map((text) => el("p", { class: "small soft" }, text))));
  const bases = el("div", { class: "scroller" });
  box.append(el("h3", {}, "The unfiltered networks"), bases, baseTable(all));
  const maps = el("div", { class: "maps scroller" }), ranks = el("div", { class: "scroller" }), paths = el("div", { class: "scroller" });
  const heading = el("h3", {});
  box.append(el("h3", {}, "Scores of every target in every study"), maps, heading, ranks, el("details", { open: all.matches.length <= 24 }, el("summary", {}, "Paths of classes, and the largest changes"), el("p", { class: "small soft" }, all.legend), paths));
  watch(["theme", "score"], () => {
    const most = reach(SCORES.flatMap((score) => all.scores[score].value.flat()));
    clear(bases).append(basePicture(all, bases.clientWidth || 900));
    clear(maps).append(...SCORES.map((score) => multiple(all, score, most)));
    heading.textContent = "Order of the targets by " + state.score + " score, the lowest at the bottom";
    clear(ranks).append(rankPaths(all, ranks.clientWidth || 900));
    clear(paths).append(pathTable(all), changeTable(all));
  });
  watch(["target"], () => highlight(ranks));
  return box;
}

// How the unfiltered networks do: what every score is relative to.
function basePicture(all, width) {
  const wide = Math.max(300, Math.min(width, 120 + all.studies.length * 70)), height = 170, percent_ = study().percent;
  const most = percent_ ? 1 : Math.max(...all.base.clean, ...all.base.adversarial), last = all.studies.length - 1;
  const x = linear(0, Math.max(1, last), 48, wide - 96), y = linear(0, most, height - 30, 12);
  const made = draw("svg", { width: wide, height, role: "img", "aria-label": "Unfiltered " + study().performance + " of each study; the table below has the numbers" });
  for (const tick of ticks(0, most, 4)) made.append(draw("line", { x1: 48, x2: wide - 96, y1: y(tick), y2: y(tick), stroke: "var(--faint)" }), words(42, y(tick) + 4, percent_ ? Math.round(100 * tick) + "\u202f%" : trimmed(tick), { "text-anchor": "end", "font-size": 11, class: "soft" }));
  const every = Math.ceil(all.studies.length / 14);
  all.studies.forEach((name, place) => { if (place % every === 0) made.append(words(x(place), height - 10, short(name, 11), { "text-anchor": "middle", "font-size": 11, class: "soft" })); });
  for (const [side, colour, dash] of SIDES) {
    const points = all.base[side].map((value, place) => [x(place), y(value)]);
    if (all.over === "epochs") made.append(draw("path", { d: line(points), fill: "none", stroke: "var(" + colour + ")", "stroke-width": 2, "stroke-dasharray": dash || null }));
    points.forEach(([cx, cy]) => made.append(draw("circle", { cx, cy, r: 3, fill: side === "clean" ? "var(" + colour + ")" : "var(--ground)", stroke: "var(" + colour + ")", "stroke-width": 1.6 })));
    const other = y(all.base[side === "clean" ? "adversarial" : "clean"][last]), close = Math.abs(other - points[last][1]) < 13;
    const name = words(points[last][0] + 10, points[last][1] + 4 + (close ? (side === "clean" ? -7 : 7) : 0), side, { "font-size": 12, "font-weight": 600 });
    name.style.fill = "var(" + colour + ")";
    made.append(name);
  }
  return made;
}

function baseTable(all) {
  const one = study(), show_ = (value) => (one.percent ? percent(value) : value.toPrecision(4));
  return el("details", { open: all.studies.length <= 6 }, el("summary", { class: "small" }, "The studies"), el("div", { class: "scroller" }, el("table", {}, el("thead", {}, el("tr", {}, ...["study", "ε", "unfiltered, clean", "unfiltered, adversarial"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...all.studies.map((name, place) => el("tr", {}, el("td", { class: "name" }, el("a", { href: "#head", onclick: (event) => { event.preventDefault(); chooseStudy(name); } }, studyName(name))),
      el("td", {}, all.base.epsilon[place].toPrecision(3)), el("td", {}, show_(all.base.clean[place])), el("td", {}, show_(all.base.adversarial[place]))))))));
}

// "3" alone says little: it is an epoch.
function studyName(name) {
  const over = shared.several && shared.several.over;
  return /^\d+$/.test(name) && ["epochs", "seeds"].includes(over) ? (over === "epochs" ? "epoch " : "seed ") + name : name;
}

function chooseStudy(name) {
  const place = shared.studies.indexOf(name);
  if (place < 0) return;
  show({ study: place });
  document.getElementById("head").scrollIntoView();
}

function multiple(all, score, most) {
  const found = all.scores[score], columns = all.studies.length, rows = all.matches.length;
  const cell = Math.max(7, Math.min(30, 260 / columns)), tall = rows > 80 ? 9 : 14, left = score === "clean" ? 134 : 8, top = 44;
  const made = draw("svg", { width: left + columns * cell + 26, height: top + rows * tall + 6, role: "img", "aria-label": "Heat map of " + score + " scores: " + rows + " targets by " + columns + " studies; the table of paths has the classes" });
  made.append(words(left, 12, capital(score), { "font-weight": 650 }));
  const every = Math.ceil(columns / 15);
  all.studies.forEach((name, place) => { if (place % every === 0) made.append(words(left + (place + 0.5) * cell, top - 6, short(name, 9), { "font-size": 10, class: "soft", "text-anchor": columns > 6 ? "start" : "middle", transform: columns > 6 ? `rotate(-45 ${left + (place + 0.5) * cell} ${top - 6})` : null })); });
  all.matches.forEach((match, row) => {
    const y = top + row * tall;
    if (left > 100 && tall > 9) made.append(words(left - 6, y + tall - 3.5, short(spelled(match), 21), { "font-size": 10.5, class: "soft", "text-anchor": "end" }));
    all.studies.forEach((name, place) => {
      const value = found.value[row][place], label = study().classes[found.class[row][place]];
      const cell_ = draw("rect", { x: left + place * cell + 0.3, y: y + 0.3, width: cell - 0.6, height: tall - 0.6, fill: value === null ? "var(--faint)" : tint(value, most).fill });
      cell_.addEventListener("pointermove", (event) => tip([spelled(match) + ", " + studyName(name), capital(score) + ": " + said({ value, low: found.low[row][place], high: found.high[row][place], class: label, point: study().classes[found.point[row][place]] })], event));
      cell_.addEventListener("pointerleave", untip);
      made.append(cell_);
      if (cell >= 12 && tall > 9) {
        const letter = words(left + (place + 0.5) * cell, y + tall - 3.5, SHORT[label], { "text-anchor": "middle", "font-size": 9, "pointer-events": "none" });
        letter.style.fill = value === null ? "var(--ink)" : tint(value, most).ink;
        made.append(letter);
      }
    });
  });
  return made;
}

// 1 is the lowest score; targets without a score in some study have no path.
function ranksOf(all) {
  const values = all.scores[state.score].value, whole = all.matches.map((_, row) => row).filter((row) => values[row].every((value) => value !== null));
  const ranks = new Map(whole.map((row) => [row, []]));
  all.studies.forEach((_, place) => whole.slice().sort((a, b) => values[a][place] - values[b][place] || a - b).forEach((row, rank) => ranks.get(row).push(rank + 1)));
  return ranks;
}

function rankPaths(all, width) {
  const ranks = ranksOf(all), rows = ranks.size, tall = rows > 60 ? 10 : 17, side = Math.min(190, width * 0.27);
  const height = rows * tall + 40, made = draw("svg", { width: Math.max(320, Math.min(width, 330 + all.studies.length * 90)), height, role: "img", "aria-label": "Paths of " + rows + " targets through the order by " + state.score + " score" });
  const right = Number(made.getAttribute("width")), x = linear(0, Math.max(1, all.studies.length - 1), side, right - side), y = (rank) => height - 12 - (rank - 0.5) * tall;
  const every = Math.ceil(all.studies.length / 12);
  all.studies.forEach((name, place) => { if (place % every === 0) made.append(words(x(place), 14, short(name, 12), { "text-anchor": "middle", "font-size": 11, class: "soft" })); });
  const marks = draw("g", { "pointer-events": "none" }); // above all lines
  for (const [row, own] of ranks) {
    const match = all.matches[row], path = draw("g", { class: "path", "data-name": match });
    path.append(draw("path", { d: line(own.map((rank, place) => [x(place), y(rank)])), fill: "none", stroke: "var(--rule)", "stroke-width": 1.6 }));
    own.forEach((rank, place) => marks.append(mark(study().classes[all.scores[state.score].class[row][place]], x(place), y(rank), tall > 10 ? 4 : 2.8)));
    if (tall > 10) path.append(words(side - 10, y(own[0]) + 4, short(spelled(match), Math.floor(side / 6.8)), { "text-anchor": "end", "font-size": 11 }), words(right - side + 10, y(own[own.length - 1]) + 4, short(spelled(match), Math.floor(side / 6.8)), { "font-size": 11 }));
    path.addEventListener("pointermove", (event) => { light(made, match); tip([spelled(match), "place " + own.join(" → ") + " of " + rows], event); });
    path.addEventListener("pointerleave", () => { untip(); highlight(made.parentNode); });
    path.addEventListener("click", () => { const place = study().targets.name.indexOf(match); if (place >= 0) show({ target: place }); });
    made.append(path);
  }
  made.append(marks);
  queueMicrotask(() => made.parentNode && highlight(made.parentNode));
  return made;
}

function light(made, match) {
  for (const path of made.querySelectorAll(".path")) {
    const on = path.dataset.name === match;
    path.firstChild.setAttribute("stroke", on ? "var(--ink)" : "var(--rule)");
    path.firstChild.setAttribute("stroke-width", on ? 2.4 : 1.6);
    path.firstChild.setAttribute("opacity", on ? 1 : 0.7);
  }
}

function highlight(box) { light(box, study().targets.name[state.target]); }

function pathTable(all) {
  return el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "name" }, "target"), ...SCORES.map((score) => el("th", { scope: "col" }, score)))),
    el("tbody", {}, ...all.matches.map((match, row) => el("tr", {}, el("td", { class: "name" }, spelled(match)),
      ...SCORES.map((score) => { const [path, kept] = all.paths[score][row]; return el("td", {}, el("span", { class: "mono" }, path), el("span", { class: "soft" }, kept === "no" ? " changes" : kept === "certain" ? " stays, certain" : kept === "undecided" ? " stays by the estimates" : " " + kept)); })))));
}

function changeTable(all) {
  const rows = all.changes[state.score];
  return el("table", {}, el("caption", {}, "Largest changes of the " + state.score + " score"), el("thead", {}, el("tr", {}, ...["target", "from", "to", "difference", "interval", ""].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map(([match, from, to, difference, low, high, certain]) => el("tr", {}, el("td", { class: "name" }, spelled(match)), el("td", {}, from), el("td", {}, to), el("td", {}, signed(difference)),
      el("td", {}, low === null ? "–" : signed(low) + " to " + signed(high)), el("td", {}, certain ? "certain" : "")))));
}

// The answer first: what was found, and how much of the network falls into each class.
function answer() {
  const box = section("answer", "What was found");
  const body = el("div", { class: "answer" }),
    caption = el("p", { class: "caption small soft" });
  box.append(profile(), classKeys(), caption, body);
  watch(["score"], () => (caption.textContent = captionOfProfile() + study().headline));
  watch(["filter"], () => {
    clear(body);
    const data = study();
    const list = data.findings.length
      ? el("ol", { class: "findings" }, ...data.findings.map((each) => el("li", {}, each)))
      : el(
          "p",
          { class: "intro" },
          "Nothing is certain: no class stands up to its " +
            100 * data.scoring.level +
            "\u202f% interval over " +
            data.samples[0] +
            " samples, and no trend is significant.",
        );
    body.append(el("div", {}, list), shares(data));
  });
  return box;
}

function captionOfProfile() {
  return (
    capital(wordOf(state.score)) +
    " score of every target, in the order of the data, with its " +
    100 * study().scoring.level +
    "\u202f% interval; the band counts as robust. "
  );
}

function shares(data) {
  const box = el("div", { class: "shares" });
  for (const score of scoreNames()) {
    const counts = data.counts[state.filter][score];
    const targets = counts.reduce((sum, each) => sum + each[1], 0),
      values = counts.reduce((sum, each) => sum + each[2], 0);
    box.append(
      el(
        "div",
        { class: "share" },
        el(
          "h3",
          {},
          el("span", {}, capital(wordOf(score)) + " score"),
          el(
            "span",
            { class: "soft" },
            targets + (targets === 1 ? " target, " : " targets, ") + large(values) + " values",
          ),
        ),
        shareBar(score, counts, values),
        el(
          "ul",
          {},
          ...counts.map(([kind, number, size]) =>
            el(
              "li",
              {},
              badge(kind),
              number + " " + kind,
              el("span", { class: "soft" }, percent(size / values)),
            ),
          ),
        ),
      ),
    );
  }
  const what =
    stressName(state.filter) +
    "; shares are of the values " +
    (data.levels ? "changed." : "filtered.");
  box.append(
    el(
      "p",
      { class: "small soft" },
      capital(what) + (data.not_tested ? " " + data.not_tested + "; " : ""),
      data.not_tested ? el("a", { href: "#method" }, "why") : "",
      data.not_tested ? "." : "",
    ),
  );
  return box;
}

function shareBar(score, counts, values) {
  const sentence = counts
    .map(
      ([kind, number, size]) => number + " " + kind + ", " + percent(size / values) + " of values",
    )
    .join("; ");
  const element = draw("svg", {
    width: "100%",
    height: 22,
    role: "img",
    "aria-label": capital(wordOf(score)) + " score: " + sentence,
  });
  let left = 0;
  for (const [kind, , size] of counts) {
    const share = (100 * size) / values,
      colour = ["fragile", "robust", "antifragile"].includes(kind);
    element.append(
      draw("rect", {
        x: left + "%",
        y: 0.5,
        width: share + "%",
        height: 21,
        fill: colour ? "var(--" + kind + ")" : "var(--ground)",
        stroke: colour ? "var(--ground)" : "var(--undecided)",
        "stroke-width": 1,
      }),
    );
    if (share > 9)
      element.append(
        svgText(left + share / 2 + "%", 15.5, SHORT[kind], {
          "text-anchor": "middle",
          "font-weight": 700,
          style: null,
          fill: colour ? "var(--ground)" : "var(--ink)",
          class: colour ? "onfill" : "",
        }),
      );
    left += share;
  }
  return element;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

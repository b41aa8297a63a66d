// The map: which lengths were learned at which learning rate, by the study's runs and one's own.

/** Room around a map, in CSS pixels, and its height. */
const MAP_LEFT = 40;
const MAP_BOTTOM = 36;
const PLANE = 230;

/**
 * Draw a map for each network's cell, and say what lies on them.
 * @param {HTMLElement} host
 * @param {App} app
 * @returns {string}
 */
function drawMap(host, app) {
  const { live, slots } = app;
  const { choice } = live;
  if (host.children.length !== slots.length)
    host.replaceChildren(
      ...slots.map(() => make("figure", {}, newPlane(app), make("figcaption"))),
    );
  const own = live.runs.filter(({ task }) => task === "palindrome");
  slots.forEach((slot, k) => {
    const [plane, caption] = host.children[k].children;
    const { cell } = slot.network;
    const studied = (app.data.learn.map.runs[cell] ?? []).filter(([T]) => T <= MOST_LENGTH);
    const mine = own.filter((run) => run.cell === cell && run.start === choice.start[k]);
    const solved = (runs) => runs.filter(({ outcome }) => outcome === "solved").length;
    const study = `${studied.length} runs of the study (${app.data.learn.map.start} start, up to T = ${MOST_LENGTH})`;
    caption.textContent = `${slot.title}: ${study}, ${mine.length} of yours (${choice.start[k]} start), ${solved(mine)} of them solved`;
    drawPlane(plane, slot, studied, mine, choice);
  });
  if (own.length === 0)
    return "None of your runs has come to an end yet: press on a place of the map, or let them learn.";
  const places = new Set(own.map(({ T, rate }) => `${T}/${rate}`)).size;
  return `Your runs lie at ${places} ${places === 1 ? "place" : "places"}; between a filled and an open mark lies the edge of what was learned in ${BUDGET.toLocaleString("en")} steps.`;
}

/** Where T and rate lie on a map of some width, and which of them lie at a place. */
function mapScale(width) {
  const across = [Math.log(4.6), Math.log(33)];
  const up = [Math.log(LEAST_RATE / 1.3), Math.log(MOST_RATE * 1.3)];
  const wide = width - MAP_LEFT - 8;
  return {
    x: (T) => MAP_LEFT + ((Math.log(T) - across[0]) / (across[1] - across[0])) * wide,
    y: (rate) => 6 + (1 - (Math.log(rate) - up[0]) / (up[1] - up[0])) * PLANE,
    at: (x, y) => {
      const T = Math.exp(across[0] + ((x - MAP_LEFT) / wide) * (across[1] - across[0]));
      const rate = Math.exp(up[0] + (1 - (y - 6) / PLANE) * (up[1] - up[0]));
      const inside = Math.max(LEAST_RATE, Math.min(MOST_RATE, rate));
      return {
        T: Math.max(LEAST_LENGTH, Math.min(MOST_LENGTH, Math.round(T))),
        rate: rateAt(placeOfRate(inside)),
      };
    },
  };
}

/**
 * A map's host. It takes presses in its picture's place (style.css), which is drawn anew again and
 * again: a press that begins on one picture and ends on the next is none to a browser.
 */
const newPlane = (app) =>
  make("div", {
    class: "plane",
    onclick: ({ currentTarget, clientX, clientY }) => {
      const box = currentTarget.getBoundingClientRect();
      const { at } = mapScale(box.width);
      app.choose({ task: "palindrome", ...at(clientX - box.left, clientY - box.top), digits: "" });
    },
  });

/** One cell's runs over T and rate, both logarithmic. */
function drawPlane(host, slot, studied, mine, choice) {
  const width = widthOf(host);
  const { x, y } = mapScale(width);
  const total = PLANE + MAP_BOTTOM + 6;
  const solved = mine.filter(({ outcome }) => outcome === "solved").length;
  const description = `${slot.title}: runs over T and learning rate; ${mine.length} of yours, ${solved} solved.`;
  const picture = draw("svg", {
    viewBox: `0 0 ${width} ${total}`,
    width,
    height: total,
    role: "img",
    "aria-label": description,
  });
  for (const T of [5, 7, 10, 15, 20, 30])
    picture.append(
      draw("line", { x1: x(T), x2: x(T), y1: 6, y2: 6 + PLANE, class: "grid" }),
      draw("text", { x: x(T), y: PLANE + 22, class: "step" }, T),
    );
  for (let rate = LEAST_RATE; rate <= MOST_RATE * 1.01; rate *= 10)
    picture.append(
      draw("line", { x1: MAP_LEFT, x2: width - 8, y1: y(rate), y2: y(rate), class: "grid" }),
      draw(
        "text",
        { x: MAP_LEFT - 6, y: y(rate) + 4, class: "tick" },
        powerOfTen(Math.round(Math.log10(rate))),
      ),
    );
  picture.append(
    draw("text", { x: width - 8, y: PLANE + 38, class: "tick" }, "palindrome length T"),
  );
  for (const [T, rate, outcome] of studied)
    picture.append(mapMark(slot.letter, x(T), y(rate), outcome, "studied"));
  for (const { T, rate, outcome } of mine)
    picture.append(mapMark(slot.letter, x(T), y(rate), outcome, "mine"));
  if (choice.task === "palindrome")
    picture.append(
      draw("path", {
        d: `M${x(choice.T)},6v${PLANE}M${MAP_LEFT},${y(choice.rate)}H${width - 8}`,
        class: "here",
      }),
    );
  host.replaceChildren(picture);
}

/** A run: filled where it was solved, a cross where it diverged; one's own with a ring. */
function mapMark(letter, x, y, outcome, whose) {
  const r = whose === "mine" ? 5 : 3.6;
  const cross = `M${x - r},${y - r}l${2 * r},${2 * r}M${x - r},${y + r}l${2 * r},${-2 * r}`;
  const square = `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
  const circle = `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`;
  const shape = outcome === "diverged" ? cross : letter === "b" ? square : circle;
  const around = r + 3;
  const ring = `M${x - around},${y}a${around},${around} 0 1,0 ${2 * around},0a${around},${around} 0 1,0 ${-2 * around},0z`;
  return draw(
    "g",
    { class: `run ${letter} ${outcome} ${whose}` },
    draw("path", { d: shape }),
    ...(whose === "mine" ? [draw("path", { d: ring, class: "around" })] : []),
  );
}

// What a panel is, and what panels share. Every file in panels/ adds one.

/**
 * @typedef {object} Panel
 * @property {string} id
 * @property {string} title
 * @property {string} question of the exercise sheet
 * @property {string} text what to look for
 * @property {{title?: string, text: string}} recall the same where lists are asked
 * @property {(app: App) => boolean} [needs] whether the page has what it shows; always, by default
 * @property {(section: HTMLElement, app: App) => void} build once, and when a network is loaded
 * @property {(app: App) => void} draw at every change
 *
 * A network on show and what a person does to it.
 * @typedef {object} Slot
 * @property {"a" | "b"} letter its colour and marks
 * @property {string} title
 * @property {Network} network
 * @property {number} snapshot which of its snapshots is on show, the last by default
 * @property {WhatIf} whatIf
 * @property {number} unit the unit that is followed
 * @property {Trace} trace
 * @property {Trace} changed with another first digit
 * @property {number[]} distances between the two after each step
 */

/** @type {any[]} */
const PANELS = [];

/**
 * A panel's section with its title, its question and its text.
 * @param {Panel} panel
 * @param {App} app
 */
function frame(panel, { asks }) {
  const { title, text } = asks ? { title: panel.title, ...panel.recall } : panel;
  const ofSheet = panel.question && !asks; // the sheet asks of palindromes
  const question = ofSheet ? [make("span", { class: "question" }, panel.question)] : [];
  return make(
    "section",
    { class: "panel", id: panel.id, "aria-labelledby": `${panel.id}-title` },
    make("div", { class: "head" }, make("h2", { id: `${panel.id}-title` }, title), ...question),
    make("p", { class: "look" }, text),
  );
}

/**
 * A column for each network.
 * @param {HTMLElement} section
 * @param {Slot[]} slots
 * @param {(slot: Slot, k: number) => any} build gives an object with `children`, the elements
 * @returns {any[]} what `build` gave
 */
function sideBySide(section, slots, build) {
  const parts = slots.map(build);
  const columns = slots.map((slot, k) => {
    const head = make("h3", {}, swatch(slot), slot.title);
    return make("div", { class: `column ${slot.letter}` }, head, ...parts[k].children);
  });
  section.append(make("div", { class: `columns columns-${slots.length}` }, ...columns));
  return parts;
}

/** A short stretch of a network's line with its mark. @param {{letter: string}} slot */
function swatch({ letter }, look = letter) {
  return draw(
    "svg",
    { viewBox: "0 0 34 10", width: 34, height: 10, class: "swatch", "aria-hidden": "true" },
    draw("line", { x1: 0, x2: 34, y1: 5, y2: 5, class: `line ${look}` }),
    ...(look.includes("thin") ? [] : [marks(letter, [[17, 5]])]),
  );
}

/**
 * The lines of a chart that both networks share.
 * @param {Slot[]} slots
 * @param {string[]} states the states whose lines are drawn; empty where a line is a network
 */
function legend(slots, states) {
  const entries = slots.flatMap((slot) => {
    const own = states.filter((name) => name in CELLS[slot.network.cell].states);
    if (own.length === 0) return [make("span", {}, swatch(slot), slot.title)];
    return own.map((name) => {
      const { symbol } = CELLS[slot.network.cell].states[name];
      return make("span", {}, swatch(slot, lookOf(slot, name)), `${slot.title}, ${symbol}(t)`);
    });
  });
  return make("span", { class: "legend" }, ...entries);
}

/** What a line of one state of a network looks like. @param {Slot} slot @param {string} state */
const lookOf = (slot, state) => (state === "hidden" ? slot.letter : `${slot.letter} thin`);

/**
 * A host for a picture over the steps; pressing on it takes a step in hand.
 * @param {App} app
 * @param {string} [kind] "chart" or "canvas"
 */
function stepsHost(app, kind = "chart") {
  const host = make("div", { class: kind });
  pickable(host, (x, _, width) => app.pick(timeAxis(width, app.digits.length).at(x)));
  return host;
}

/**
 * A chart that both networks share, what its lines are, and a finding on each of them.
 * @param {HTMLElement} section
 * @param {App} app
 * @param {string} caption what is drawn; the legend follows it
 * @param {string[]} states as `legend` takes them
 */
function buildComparison(section, app, caption, states) {
  const host = stepsHost(app);
  const finding = make("div", { class: "finding" });
  const legendLine = make("figcaption", {}, caption, legend(app.slots, states));
  section.append(make("figure", {}, host, legendLine, finding));
  return { host, finding };
}

/**
 * Draw a comparison on a logarithmic axis, with a finding a network, which are its description too.
 * @param {ReturnType<typeof buildComparison>} part
 * @param {App} app
 * @param {(slot: Slot) => string} find
 * @param {any} chart
 */
function drawComparison({ host, finding }, app, find, chart) {
  const findings = app.slots.map((slot) => `${slot.title}: ${find(slot)}.`);
  finding.replaceChildren(...findings.map((text) => make("p", {}, text)));
  const description = `${chart.description}, logarithmic. ${findings.join(" ")}`;
  drawChart(host, app, { ...chart, log: true, description });
}

/** A line of controls. @param {...(Node | string)} children */
const controlLine = (...children) => make("p", { class: "controls" }, ...children);

/** The colours of a map from -most to most. @param {number} most */
function scaleLegend(most) {
  const text = most === 1 ? "1" : String(Number(most.toPrecision(2)));
  const colours = make("i");
  colours.style.background = `linear-gradient(90deg, ${CIVIDIS.join(", ")})`;
  const end = most === 1 ? text : `${text} and beyond`;
  return make("span", { class: "scale", "aria-hidden": "true" }, `−${text}`, colours, end);
}

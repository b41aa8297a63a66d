// What networks say of longer palindromes than they were trained on, and how sure they are of it.

/** Fresh palindromes asked at a length. */
const NUM_BEYOND = 20;

const BEYOND = `Nothing in its training told a network how sure it may be of a palindrome longer than those it
read. Ask for a longer one, and look whether it is right, whether it is as sure as before, and
whether the two go together.`;

/** @type {WeakMap<object, Map<number, ReturnType<typeof askAt>>>} by weights, then by length */
const ANSWERS = new WeakMap();

/**
 * Ask a network, as it was trained, some palindromes that are kept out of training.
 * @param {Network} network
 * @param {number} length T
 */
function askAt(network, length) {
  const answers = Array.from({ length: NUM_BEYOND }, (_, k) => {
    const task = { asks: null, length };
    const digits = drawSequence(task, true, new Random("beyond", length, k));
    const { predictions, probabilities } = follow(network, digits, asTrained(), false);
    const said = predictions.at(-1);
    return { digits, said, sure: said < 0 ? NaN : probabilities.at(-1)[said] };
  });
  const wrong = answers.filter(({ digits, said }) => said !== digits[0]);
  return {
    right: NUM_BEYOND - wrong.length,
    sure: answers.reduce((sum, { sure }) => sum + sure, 0) / NUM_BEYOND,
    surest: wrong.sort((one, other) => other.sure - one.sure)[0] ?? null,
  };
}

/** The same, asked once only. @param {Network} network @param {number} length */
function answersAt(network, length) {
  const { weights } = network;
  if (!ANSWERS.has(weights)) ANSWERS.set(weights, new Map());
  const found = ANSWERS.get(weights);
  if (!found.has(length)) found.set(length, askAt(network, length));
  return found.get(length);
}

/** A slider for the length; a column for each network. @param {App} app @param {string} id */
function buildBeyond(app, id) {
  const slider = make("input", {
    id,
    type: "range",
    oninput: () => app.show({ beyond: Number(slider.value) }),
  });
  const name = make("label", { for: id }, "Ask at T");
  const columns = make("div", { class: "moments" });
  return { slider, name, columns };
}

/** @param {App} app @param {ReturnType<typeof buildBeyond>} parts */
function drawBeyond(app, { slider, name, columns }) {
  const trained = Math.max(...app.slots.map(({ network }) => network.length));
  Object.assign(slider, { min: LEAST_LENGTH, max: Math.min(MOST_DIGITS + 1, 4 * trained) });
  const length = Math.max(LEAST_LENGTH, Math.min(Number(slider.max), app.beyond || 2 * trained));
  slider.value = String(length);
  name.textContent = `Ask at T = ${length}`;
  columns.className = `moments columns columns-${app.slots.length}`;
  columns.replaceChildren(
    ...app.slots.map((slot) =>
      make(
        "div",
        { class: `column ${slot.letter}` },
        make("h3", {}, swatch(slot), slot.title),
        ...(app.isLive && app.live.running
          ? [make("p", {}, "It is asked as soon as the training pauses.")]
          : momentOf(app, slot, length)),
      ),
    ),
  );
}

/** The surest of its wrong answers, and what it says at its own length. @param {Slot} slot */
function momentOf(app, slot, length) {
  const { network } = slot;
  const there = answersAt(network, length);
  const own = answersAt(network, Math.max(LEAST_LENGTH, network.length));
  const words = ({ right, sure }) => `${right} of ${NUM_BEYOND} right, ${percent(sure)} sure on average`;
  const ownLength = Math.max(LEAST_LENGTH, network.length);
  const before = `At T = ${ownLength}, its own length: ${words(own)}.`;
  const after = length === ownLength ? "" : ` At T = ${length}: ${words(there)}.`;
  const says = make("p", { class: "finding" }, before + after);
  if (Number.isNaN(there.sure)) return [make("p", {}, "Its weights are no numbers: it diverged.")];
  if (!there.surest) return [make("p", {}, `None of ${NUM_BEYOND} is wrong at T = ${length}.`), says];
  const { digits, said, sure } = there.surest;
  const look = button(
    { class: "moment", "data-line": digits.join(""), onclick: () => lookInto(app, digits) },
    "look into this one",
  );
  return [
    make(
      "div",
      { class: "answer wrong" },
      make("b", { class: "said" }, String(said)),
      make(
        "p",
        { class: "sentence" },
        `Its surest wrong answer: ${said}, with ${percent(sure)}. The first of these ${digits.length} digits was ${digits[0]}.`,
      ),
    ),
    controlLine(look),
    says,
  ];
}

/** Put a line where all of the page asks about it. @param {App} app @param {number[]} digits */
function lookInto(app, digits) {
  app.bar.line.value = digits.join("");
  app.read(app.bar.line.value);
  app.pager.turnToSection(app.verdicts.element);
}

PANELS.push({
  id: "beyond",
  title: "Sure, and right?",
  question: "",
  text: BEYOND,
  recall: { text: "" },
  needs: (app) => app.asks === null && !app.isLive, // networks that learn have it as a screen

  build(section, app) {
    this.parts = buildBeyond(app, "beyond-length");
    section.append(controlLine(this.parts.name, this.parts.slider), this.parts.columns);
  },

  draw(app) {
    // Dozens of palindromes are asked: not before somebody looks.
    if (app.inSight.has(this.section)) drawBeyond(app, this.parts);
  },
});

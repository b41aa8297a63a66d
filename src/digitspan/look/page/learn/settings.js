// What a person chooses for a training, and how it stands in the page's address.

/**
 * @typedef {object} Choice
 * @property {"palindrome" | "recall"} task
 * @property {number} T
 * @property {number} rate
 * @property {number} seed
 * @property {string[]} cell one or two
 * @property {string[]} start one a cell
 * @property {string} digits a line that was typed; empty where one is drawn
 */

const LEAST_LENGTH = 5;
const MOST_LENGTH = 30;

/** The slider has four decades, twenty places each. */
const LEAST_RATE = 1e-4;
const MOST_RATE = 1;
const PLACES_A_DECADE = 20;

const MOST_SEED = 9999;

/** What is asked, in the words of the page. */
const LEARN_TASKS = {
  palindrome: "say the first digit",
  recall: "say the whole list, backwards",
};

/** @returns {Choice} where nothing is chosen */
const usualChoice = () => ({
  task: "palindrome",
  T: 15,
  rate: 0.003,
  seed: 0,
  cell: ["rnn", "lstm"],
  start: ["uniform", "uniform"],
  digits: "",
});

/** What a training of lists asks, in the words of a study's page. @returns {Asks} */
const asksOf = (/** @type {Choice} */ { task }) =>
  task === "recall" ? { silent: true, order: "backward" } : null;

/**
 * The choice that an address holds.
 * @param {string} address what follows the #
 * @param {Record<string, CellFacts>} facts
 * @returns {{choice: Choice | null, problem: string}} null where it holds none; a sentence where
 *   something of it cannot be: that stays as usual
 */
function readAddress(address, facts) {
  const usual = usualChoice();
  if (!address.includes("=")) return { choice: null, problem: "" };
  const problems = [];
  const choice = usualChoice();
  const refuse = (name, got, expected) => {
    const shown = got.length > 40 ? `${got.slice(0, 40)}…` : got;
    problems.push(
      `In the address, ${name} must be ${expected}, and is “${shown}”; taken is ${usualOf(name, usual)}.`,
    );
  };
  const texts = new Map();
  for (const part of address.split("&")) {
    const [name, ...rest] = part.split("=");
    const text = decoded(rest.join("="));
    if (Object.hasOwn(usual, name)) texts.set(name, text);
    else if (part !== "")
      problems.push(
        `The address has “${decoded(name).slice(0, 40)}”, which is none of ${Object.keys(usual).join(", ")}; it is left aside.`,
      );
  }
  const text = (name) => texts.get(name) ?? "";
  const given = (name) => texts.has(name);

  if (given("task")) {
    if (Object.hasOwn(LEARN_TASKS, text("task"))) choice.task = /** @type {any} */ (text("task"));
    else refuse("task", text("task"), wordsOf(Object.keys(LEARN_TASKS)));
  }
  const number = (name, fits, expected) => {
    if (!given(name)) return;
    const value = /^[0-9.]+(e-?[0-9]+)?$/i.test(text(name)) ? Number(text(name)) : NaN;
    if (fits(value)) choice[name] = value;
    else refuse(name, text(name), expected);
  };
  const isWhole = (least, most) => (x) => Number.isInteger(x) && x >= least && x <= most;
  if (choice.task === "recall") choice.T = 10;
  usual.T = choice.T;
  if (choice.task === "recall")
    number(
      "T",
      (x) => isWhole(LEAST_LENGTH, MOST_LENGTH)(x) && x % 2 === 0,
      `an even number from ${LEAST_LENGTH + 1} to ${MOST_LENGTH}, twice the digits of the list`,
    );
  else
    number(
      "T",
      isWhole(LEAST_LENGTH, MOST_LENGTH),
      `a whole number from ${LEAST_LENGTH} to ${MOST_LENGTH}`,
    );
  number(
    "rate",
    (x) => x >= LEAST_RATE && x <= MOST_RATE,
    `a number from ${LEAST_RATE} to ${MOST_RATE}`,
  );
  number("seed", isWhole(0, MOST_SEED), `a whole number from 0 to ${MOST_SEED}`);

  if (given("cell")) {
    const cells = text("cell").split(",");
    const expected = `one or two of ${wordsOf(Object.keys(facts))}, with a comma between`;
    if (cells.length <= 2 && cells.every((cell) => Object.hasOwn(facts, cell)))
      choice.cell = cells;
    else refuse("cell", text("cell"), expected);
  }
  usual.start = choice.start = choice.cell.map(() => usual.start[0]);
  if (given("start")) {
    const starts = text("start").split(",");
    const all = starts.length === 1 ? choice.cell.map(() => starts[0]) : starts;
    const unfit = choice.cell.find((cell, k) => !facts[cell].starts.includes(all[k]));
    if (all.length !== choice.cell.length)
      refuse("start", text("start"), `one, or as many as there are cells`);
    else if (unfit)
      refuse("start", text("start"), `for ${unfit} one of ${wordsOf(facts[unfit].starts)}`);
    else choice.start = all;
  }
  if (given("digits") && text("digits") !== "") {
    const { digits, problem } = readDigits(text("digits"), MOST_TYPED);
    if (digits) choice.digits = digits.join("");
    else refuse("digits", text("digits"), `up to ${MOST_TYPED} digits`);
  }
  return { choice, problem: problems[0] ?? "" };
}

/** The longest line that an address holds. */
const MOST_TYPED = 60;

/** What stands in the address for a choice; the same choice is read out of it. @param {Choice} choice */
function addressOf({ task, T, rate, seed, cell, start, digits }) {
  const parts = { task, T, rate, seed, cell, start };
  if (digits && digits.length <= MOST_TYPED) Object.assign(parts, { digits });
  return Object.entries(parts)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** A rate as the slider's place, and back. */
const placeOfRate = (/** @type {number} */ rate) =>
  Math.round(PLACES_A_DECADE * Math.log10(rate / LEAST_RATE));
const rateAt = (/** @type {number} */ place) =>
  Number((LEAST_RATE * 10 ** (place / PLACES_A_DECADE)).toPrecision(2));

/** Values as a sentence has them: "a, b or c". @param {string[]} values */
const wordsOf = (values) =>
  values.length < 2 ? values.join() : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;

/** @param {string} name */
const usualOf = (name, usual) =>
  name === "digits" ? "a line drawn at random" : String(usual[name]).replace(",", " beside ");

/** Percent signs undone, where they can be. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

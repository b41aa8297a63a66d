// Lists that are read and said again: what goes in, what is asked, and what was said of each place.

/** The symbol of a silent step, after the ten digits. */
const SILENT = 10;

/** A list of so many digits takes twice as many steps. */
const MOST_ITEMS = MOST_DIGITS / 2;

/**
 * What a page's networks are asked; null where it is a palindrome's last digit.
 * @typedef {{silent: boolean, order: "backward" | "forward"} | null} Asks
 */

/**
 * What is read of the digits typed, and what is asked after each step.
 * @param {Asks} asks
 * @param {number[]} list
 */
function question(asks, list) {
  if (asks === null) return { digits: list, targets: askedAtEnd(list) };
  const said = asks.order === "backward" ? list.toReversed() : list;
  const read = asks.silent ? list.map(() => SILENT) : said.slice(0, -1);
  const digits = [...list, ...read];
  return { digits, targets: [...digits.slice(list.length).map(() => NOT_ASKED), ...said] };
}

/**
 * The step after which a place of the list is said, both from 0 on.
 * @param {Asks} asks
 * @param {number[]} targets of all steps
 * @param {number} place of a list; of a palindrome, whose first digit is asked, any
 */
function stepOf(asks, targets, place) {
  const first = targets.findIndex((target) => target !== NOT_ASKED);
  if (asks === null) return first;
  return asks.order === "backward" ? targets.length - 1 - place : first + place;
}

/**
 * What was said of each place of the list.
 * @param {Asks} asks
 * @param {Trace} trace
 */
function saidOfPlaces(asks, { targets, predictions, probabilities }) {
  const items = targets.filter((target) => target !== NOT_ASKED).length;
  return Array.from({ length: items }, (_, place) => {
    const step = stepOf(asks, targets, place);
    const said = predictions[step];
    const digit = targets[step];
    return { place, step, digit, said, right: said === digit, sure: probabilities[step][digit] };
  });
}

/** What a list is, and what is asked of it. @param {Asks} asks @param {number[]} list */
function describeList(asks, list) {
  const { length } = list;
  const said = (asks.order === "backward" ? list.toReversed() : list).join(" ");
  const count = `${length} ${length === 1 ? "digit" : "digits"}`;
  if (!asks.silent) return `${count}, read again backwards while the next one is asked: ${said}.`;
  const steps = `${length} silent ${length === 1 ? "step" : "steps"}`;
  return `${count}, then ${steps}, to be said ${asks.order === "backward" ? "backwards" : "forwards"}: ${said}.`;
}

/** What was said of a list, in a sentence. @param {Asks} asks @param {Trace} trace */
function describeSaid(asks, trace) {
  if (Number.isNaN(trace.loss))
    return "Says nothing: its weights are no numbers, the training diverged.";
  const places = saidOfPlaces(asks, trace);
  const lost = places.filter(({ right }) => !right);
  const items = places.length;
  if (lost.length === 0) return items === 1 ? "The digit came back." : `All ${items} came back: the list is whole.`;
  if (lost.length === items) return `None of ${items} came back.`;
  const which = lost.map(({ place }) => `x${subscript(place + 1)}`);
  const names = which.length > 8 ? `${which.slice(0, 7).join(", ")} and ${which.length - 7} more` : which.join(", ");
  return `${items - lost.length} of ${items} came back, so the list is not whole. Lost: ${names}.`;
}

/** A whole number below the line. @param {number} number */
const subscript = (number) => [...String(number)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");

/** A random list. @param {number} items L */
const drawList = (items) => Array.from({ length: items }, () => Math.floor(Math.random() * 10));

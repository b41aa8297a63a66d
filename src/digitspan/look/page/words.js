// Numbers and findings as words, for the page and for whoever cannot see the maps.

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * A number as `3.1 × 10⁻⁹`, or plain where it is neither tiny nor huge.
 * @param {number} x
 */
function scientific(x) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  if (size >= 0.01 && size < 1000) return String(Number(x.toPrecision(2)));
  const [digits, power] = x.toExponential(1).split("e");
  return `${digits} × ${powerOfTen(Number(power))}`;
}

/** @param {number} power */
function powerOfTen(power) {
  const raised = [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `10${power < 0 ? "⁻" : ""}${raised}`;
}

/** A share as `47 %`; near 0 and 1 with a decimal. @param {number} share */
function percent(share) {
  if (share > 0.999 && share < 1) return "over 99.9 %";
  return `${(100 * share).toFixed((share > 0.99 && share < 1) || share < 0.0995 ? 1 : 0)} %`;
}

/**
 * A digit read or said: a silent step is a dot, and a network that diverged says none.
 * @param {number} digit
 */
const sayDigit = (digit) => (digit < 0 ? "–" : digit === SILENT ? "·" : String(digit));

/** What the digits are. @param {number[]} digits */
function describeDigits(digits) {
  const { length } = digits;
  const count = `${length} ${length === 1 ? "digit" : "digits"}`;
  if (beginsPalindrome(digits)) {
    return `${count} of a palindrome of length T = ${length + 1}. Its last digit must be the first one, ${digits[0]}.`;
  }
  if (isPalindrome(digits)) {
    return `${count}: already a whole palindrome. Take the last one away, and the network is asked for it.`;
  }
  return `${count}, not the beginning of a palindrome. The network is asked for the first one, ${digits[0]}, all the same.`;
}

/** Where the first choice becomes right and where it is lost. @param {Trace} trace */
function describePath({ predictions, target }) {
  const steps = predictions.length;
  const right = predictions.map((digit) => digit === target);
  const gained = right.flatMap((isRight, t) => (isRight && !right[t - 1] ? [t] : []));
  const count = right.filter(Boolean).length;
  if (count === 0) return `${target} is its first choice at none of the ${steps} steps.`;
  if (gained.length > 3) {
    const end = right[steps - 1] ? "right at the end" : "lost at the end";
    return `${target} is its first choice at ${count} of ${steps} steps, gained and lost ${gained.length} times; ${end}.`;
  }
  const stretches = gained.map((start, k) => {
    const lost = right.indexOf(false, start);
    const end = lost < 0 ? "kept to the end" : `lost at step ${lost + 1}`;
    return `${k > 0 ? "again " : ""}at step ${start + 1}, ${end}`;
  });
  return `${target} becomes its first choice ${stretches.join("; ")}.`;
}

/**
 * The answer in a sentence.
 * @param {{trace: Trace, changed: Trace}} slot
 */
function describeAnswer({ trace, changed }) {
  const said = trace.predictions.at(-1);
  const sure = percent(trace.probabilities.at(-1)[said]);
  if (Number.isNaN(trace.loss))
    return "Says nothing: its weights are no numbers, the training diverged.";
  const between = trace.digits.length - 1;
  if (said !== trace.target)
    return `Says ${said} (${sure}). Wrong: the first digit was ${trace.target}.`;
  if (between === 0) return `Says ${said} (${sure}). Right: it has just read it.`;
  if (changed.predictions.at(-1) === said)
    return `Says ${said} (${sure}). Right, but it says ${said} with another first digit as well.`;
  return `Says ${said} (${sure}). Right: the first digit came through ${between} others.`;
}

/**
 * How the gradient changes from the last step back to the first.
 * @param {Float64Array | number[]} norms
 */
function describeGradient(norms) {
  const steps = norms.length;
  const last = norms[steps - 1];
  const first = norms[0];
  if (steps === 1) return `with one digit there is one step: ${scientific(first)}`;
  if (Number.isNaN(first)) return "the gradient is not a number: the network diverged";
  if (first === 0) return "nothing at all reaches step 1";
  const ratio = first / last;
  const change =
    ratio < 0.5
      ? `${scientific(1 / ratio)} times smaller than`
      : ratio > 2
        ? `${scientific(ratio)} times larger than`
        : "about as large as";
  return `at step 1 it is ${change} at step ${steps} (${scientific(first)} against ${scientific(last)})`;
}

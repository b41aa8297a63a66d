// The input line: digits out of what a person types, and palindromes to type.

const MOST_DIGITS = 200;

/** In place of a digit, where none is asked. */
const NOT_ASKED = -1;

/**
 * The digits of a line, or the sentence that says why there are none.
 * @param {string} text
 * @param {number} most digits
 * @returns {{digits: number[], problem: ""} | {digits: null, problem: string}}
 */
function readDigits(text, most) {
  const refuse = (/** @type {string} */ problem) => ({ digits: null, problem });
  const line = text.replace(/[\s_]/g, "");
  if (line === "")
    return refuse("The line is empty: type one or more digits, or press “another”.");
  const characters = [...line.slice(0, 100_000)];
  const other = characters.find((character) => !/^[0-9]$/.test(character));
  if (other !== undefined)
    return refuse(
      `Only the digits 0 to 9 can be read, and there is “${other}”; take it out and go on.`,
    );
  if (line.length > most) {
    const got = line.length.toLocaleString("en");
    return refuse(
      `At most ${most} digits can be read here, and these are ${got}; shorten the line.`,
    );
  }
  return { digits: characters.map(Number), problem: "" };
}

/** What is asked after each step of a palindrome's digits: its first, after the last one. */
const askedAtEnd = (/** @type {number[]} */ digits) =>
  digits.map((_, t) => (t === digits.length - 1 ? digits[0] : NOT_ASKED));

/**
 * Whether these are the first T - 1 digits of a palindrome: then the T-th must be the first.
 * @param {number[]} digits
 */
const beginsPalindrome = (digits) => isPalindrome(digits.slice(1));

/** @param {number[]} digits */
const isPalindrome = (digits) =>
  digits.every((digit, k) => digit === digits[digits.length - 1 - k]);

/**
 * The first T - 1 digits of a random palindrome.
 * @param {number} length T, at least 2
 */
function drawPalindrome(length) {
  const half = Array.from({ length: Math.ceil(length / 2) }, () => Math.floor(Math.random() * 10));
  const mirrored = half.slice(0, Math.floor(length / 2)).reverse();
  return [...half, ...mirrored].slice(0, -1);
}

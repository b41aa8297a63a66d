// The weights that a network starts with, by the initialisations of the package (cells/build.py).

/**
 * What Python says of a cell (digitspan.cells.CELLS).
 * @typedef {object} CellFacts
 * @property {string} title
 * @property {string[]} starts the initialisations that fit it
 * @property {string[]} chrono biases that "chrono" sets; after a minus, to the negative
 */

/**
 * A matrix or a vector of a network that is trained, with room for its gradient.
 * @param {string} name W_hx, W_hh, b_h, p_i, W_ph, ...
 * @param {number} inputSize d
 * @param {number} hiddenSize n
 */
function newWeights(name, inputSize, hiddenSize) {
  const rows = name === "W_ph" || name === "b_p" ? NUM_CLASSES : hiddenSize;
  if (!name.startsWith("W_"))
    return { value: new Float64Array(rows), gradient: new Float64Array(rows) };
  const columns = name.endsWith("x") ? inputSize : hiddenSize;
  const size = rows * columns;
  return { rows, columns, data: new Float64Array(size), gradient: new Float64Array(size) };
}

/** The numbers of a matrix or a vector. @param {any} weights @returns {Float64Array} */
const numbersOf = (weights) => weights.data ?? weights.value;

/**
 * A network at its start.
 * @param {string} cell a registered one
 * @param {CellFacts} facts
 * @param {{start: string, length: number, seed: number, inputSize: number, hiddenSize: number}} how
 * @returns {Record<string, any>} its weights by name
 */
function startWeights(cell, facts, { start, length, seed, inputSize, hiddenSize }) {
  const random = new Random("init", cell, start, length, seed);
  const bound = 1 / Math.sqrt(hiddenSize);
  const names = [...CELLS[cell].parameters, "W_ph", "b_p"];
  const weights = Object.fromEntries(
    names.map((name) => [name, newWeights(name, inputSize, hiddenSize)]),
  );
  const fill = (name, draw) => {
    const numbers = numbersOf(weights[name]);
    for (let k = 0; k < numbers.length; k++) numbers[k] = draw(k);
  };
  for (const name of names) {
    if (start !== "normal") fill(name, () => random.uniform(-bound, bound));
    else fill(name, name.startsWith("b_") ? () => 0 : () => 0.01 * random.normal());
  }
  if (start === "orthogonal") {
    for (const name of names)
      if (/^W_.h$/.test(name) && name !== "W_ph")
        weights[name].data = orthogonal(hiddenSize, random);
  } else if (start === "identity") {
    fill("W_hh", (k) => (k % (hiddenSize + 1) === 0 ? 1 : 0));
    fill("b_h", () => 0);
  } else if (start === "forget-bias-1") {
    fill("b_f", () => 1);
  } else if (start === "chrono") {
    const times = Float64Array.from({ length: hiddenSize }, () =>
      Math.log(random.uniform(1, Math.max(length - 1, 2))),
    );
    for (const name of facts.chrono)
      fill(name.replace("-", ""), (k) => (name.startsWith("-") ? -times[k] : times[k]));
  }
  return weights;
}

/**
 * A random orthogonal matrix, uniform over all of them: Gram and Schmidt's way through random
 * rows, which is a QR decomposition with a positive diagonal (Mezzadri 2007).
 * @param {number} size
 * @param {Random} random
 */
function orthogonal(size, random) {
  const data = Float64Array.from({ length: size * size }, random.normal);
  for (let row = 0; row < size; row++) {
    const here = data.subarray(row * size, (row + 1) * size);
    for (let again = 0; again < 2; again++)
      // twice: rounding leaves nothing of the others
      for (let other = 0; other < row; other++) {
        const there = data.subarray(other * size, (other + 1) * size);
        const along = here.reduce((sum, x, k) => sum + x * there[k], 0);
        for (let k = 0; k < size; k++) here[k] -= along * there[k];
      }
    const length = norm(here);
    for (let k = 0; k < size; k++) here[k] /= length;
  }
  return data;
}

/** Weights out of numbers, with room for gradients. @param {Record<string, any>} lists a row a list */
const readWeights = (lists) =>
  Object.fromEntries(
    Object.entries(lists).map(([name, rows]) => {
      const data = Float64Array.from(rows.flat());
      const gradient = new Float64Array(data.length);
      const isMatrix = Array.isArray(rows[0]);
      const matrix = { rows: rows.length, columns: rows[0].length, data, gradient };
      return [name, isMatrix ? matrix : { value: data, gradient }];
    }),
  );

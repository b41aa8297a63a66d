// Vectors that remember how they were made, so that a gradient can go back through them.
//
// Every operation computes its value and, where the tape records, notes how a gradient with
// respect to its result is passed on to its arguments. `backward` plays the notes in reverse.

/**
 * @typedef {object} Vector
 * @property {Float64Array} value
 * @property {Float64Array | null} gradient dL/dvalue after `backward`; null for a constant
 *
 * @typedef {object} Matrix
 * @property {number} rows
 * @property {number} columns
 * @property {Float64Array} data row after row
 */

class Tape {
  /** @param {boolean} recording whether `backward` will be called */
  constructor(recording) {
    this.recording = recording;
    /** @type {(() => void)[]} */
    this.notes = [];
  }

  /** A vector without a gradient. @param {ArrayLike<number>} values @returns {Vector} */
  constant(values) {
    return { value: Float64Array.from(values), gradient: null };
  }

  /**
   * The result of an operation.
   * @param {Float64Array} value
   * @param {(gradient: Float64Array) => void} passOn adds to the arguments' gradients
   * @returns {Vector}
   */
  result(value, passOn) {
    if (!this.recording) return { value, gradient: null };
    const gradient = new Float64Array(value.length);
    this.notes.push(() => passOn(gradient));
    return { value, gradient };
  }

  /** W x @param {Matrix} W @param {Vector} x */
  dot = ({ rows, data }, x) =>
    this.result(product(rows, data, x.value), (gradient) => {
      if (x.gradient) addRows(x.gradient, gradient, data);
    });

  /** a + b + ... @param {...Vector} parts */
  plus = (...parts) => {
    const value = Float64Array.from(parts[0].value);
    for (const part of parts.slice(1)) addTo(value, part.value);
    return this.result(value, (gradient) => {
      for (const { gradient: into } of parts) if (into) addTo(into, gradient);
    });
  };

  /** a * b, element by element @param {Vector} a @param {Vector} b */
  times = (a, b) =>
    this.result(
      a.value.map((x, k) => x * b.value[k]),
      (gradient) => {
        if (a.gradient) addProduct(a.gradient, gradient, b.value);
        if (b.gradient) addProduct(b.gradient, gradient, a.value);
      },
    );

  /** @param {Vector} a */
  tanh = (a) => this.squash(a, Math.tanh, (y) => 1 - y * y);

  /** @param {Vector} a */
  sigmoid = (a) =>
    this.squash(
      a,
      (x) => 1 / (1 + Math.exp(-x)),
      (y) => y * (1 - y),
    );

  /** max(0, a) @param {Vector} a */
  relu = (a) =>
    this.squash(
      a,
      (x) => Math.max(0, x),
      (y) => (y > 0 ? 1 : 0),
    );

  /** factor a @param {number} factor @param {Vector} a */
  scale = (factor, a) =>
    this.squash(
      a,
      (x) => factor * x,
      () => factor,
    );

  /** 1 - a @param {Vector} a */
  oneMinus = (a) =>
    this.squash(
      a,
      (x) => 1 - x,
      () => -1,
    );

  /**
   * A function of every element whose derivative is known from its value.
   * @param {Vector} a
   * @param {(x: number) => number} f
   * @param {(y: number) => number} slope f'(x), given y = f(x)
   */
  squash(a, f, slope) {
    const value = a.value.map(f);
    return this.result(value, (gradient) => {
      if (a.gradient)
        for (let k = 0; k < value.length; k++) a.gradient[k] += gradient[k] * slope(value[k]);
    });
  }

  /** L = -log softmax(p)_target, equation (3) @param {Vector} p @param {number} target */
  crossEntropy = (p, target) => {
    const probabilities = softmax(p.value);
    return this.result(Float64Array.of(-Math.log(probabilities[target])), ([gradient]) => {
      if (!p.gradient) return;
      // y-hat - y; where the target's y-hat is nearly 1, the sum of the others keeps the digits.
      let others = 0;
      probabilities.forEach((y, k) => {
        if (k === target) return;
        others += y;
        p.gradient[k] += gradient * y;
      });
      p.gradient[target] -= gradient * others;
    });
  };

  /**
   * The gradient of a loss with respect to everything it was made from.
   * @param {Vector} loss one number
   */
  backward(loss) {
    loss.gradient[0] = 1;
    for (const note of this.notes.reverse()) note();
  }
}

/**
 * W x, four rows of W at a time: their sums need not wait for each other, and share the reading
 * of x.
 * @param {number} rows
 * @param {Float64Array} data the rows of W
 * @param {Float64Array} x
 */
function product(rows, data, x) {
  const columns = x.length;
  const value = new Float64Array(rows);
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    let a = 0,
      b = 0,
      c = 0,
      d = 0;
    let at = row * columns;
    for (let k = 0; k < columns; k++, at++) {
      const factor = x[k];
      a += data[at] * factor;
      b += data[at + columns] * factor;
      c += data[at + 2 * columns] * factor;
      d += data[at + 3 * columns] * factor;
    }
    value[row] = a;
    value[row + 1] = b;
    value[row + 2] = c;
    value[row + 3] = d;
  }
  for (; row < rows; row++) {
    for (let k = 0; k < columns; k++) value[row] += data[row * columns + k] * x[k];
  }
  return value;
}

/**
 * sum += W^T factors, four rows of W at a time: each element of the sum is then read and written
 * once for the four.
 * @param {Float64Array} sum
 * @param {Float64Array} factors one per row
 * @param {Float64Array} data the rows of W
 */
function addRows(sum, factors, data) {
  const columns = sum.length;
  let row = 0;
  for (; row + 3 < factors.length; row += 4) {
    const a = factors[row];
    const b = factors[row + 1];
    const c = factors[row + 2];
    const d = factors[row + 3];
    const start = row * columns;
    for (let k = 0; k < columns; k++) {
      sum[k] +=
        a * data[start + k] +
        b * data[start + columns + k] +
        (c * data[start + 2 * columns + k] + d * data[start + 3 * columns + k]);
    }
  }
  for (; row < factors.length; row++) {
    for (let k = 0; k < columns; k++) sum[k] += factors[row] * data[row * columns + k];
  }
}

/** sum += part @param {Float64Array} sum @param {Float64Array} part */
function addTo(sum, part) {
  for (let k = 0; k < sum.length; k++) sum[k] += part[k];
}

/** sum += a * b, element by element @param {Float64Array} sum */
function addProduct(sum, a, b) {
  for (let k = 0; k < sum.length; k++) sum[k] += a[k] * b[k];
}

/** y-hat = softmax(p), equation (11) @param {Float64Array} p @returns {Float64Array} */
function softmax(p) {
  const largest = Math.max(...p);
  const odds = p.map((x) => Math.exp(x - largest));
  const sum = odds.reduce((a, b) => a + b, 0);
  return odds.map((x) => x / sum);
}

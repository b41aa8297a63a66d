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

  /**
   * A vector without a gradient.
   * @param {ArrayLike<number>} values
   * @returns {Vector}
   */
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

  /**
   * W x
   * @param {Matrix} W
   * @param {Vector} x
   */
  dot = (W, x) => {
    const { rows, columns, data } = W;
    const input = x.value;
    const value = new Float64Array(rows);
    for (let row = 0; row < rows; row++) value[row] = dotProduct(data, row * columns, input);
    return this.result(value, (gradient) => {
      const into = x.gradient;
      if (!into) return;
      for (let row = 0; row < rows; row++) {
        const factor = gradient[row];
        if (factor === 0) continue;
        const start = row * columns;
        for (let column = 0; column < columns; column++) {
          into[column] += data[start + column] * factor;
        }
      }
    });
  };

  /**
   * a + b + ...
   * @param {...Vector} parts
   */
  plus = (...parts) => {
    const value = Float64Array.from(parts[0].value);
    for (const part of parts.slice(1)) addTo(value, part.value);
    return this.result(value, (gradient) => {
      for (const { gradient: into } of parts) if (into) addTo(into, gradient);
    });
  };

  /**
   * a * b, element by element
   * @param {Vector} a
   * @param {Vector} b
   */
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

  /**
   * L = -log softmax(p)_target, equation (3)
   * @param {Vector} p
   * @param {number} target
   */
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
 * sum_k data[start + k] * x[k], in four sums that need not wait for each other: twice as fast.
 * @param {Float64Array} data
 * @param {number} start
 * @param {Float64Array} x
 */
function dotProduct(data, start, x) {
  let a = 0,
    b = 0,
    c = 0,
    d = 0,
    k = 0;
  for (; k + 3 < x.length; k += 4) {
    a += data[start + k] * x[k];
    b += data[start + k + 1] * x[k + 1];
    c += data[start + k + 2] * x[k + 2];
    d += data[start + k + 3] * x[k + 3];
  }
  for (; k < x.length; k++) a += data[start + k] * x[k];
  return a + b + (c + d);
}

/** sum += part @param {Float64Array} sum @param {Float64Array} part */
function addTo(sum, part) {
  for (let k = 0; k < sum.length; k++) sum[k] += part[k];
}

/** sum += a * b, element by element @param {Float64Array} sum */
function addProduct(sum, a, b) {
  for (let k = 0; k < sum.length; k++) sum[k] += a[k] * b[k];
}

/**
 * y-hat = softmax(p), equation (11)
 * @param {Float64Array} p
 * @returns {Float64Array}
 */
function softmax(p) {
  const largest = Math.max(...p);
  const odds = p.map((x) => Math.exp(x - largest));
  const sum = odds.reduce((a, b) => a + b, 0);
  return odds.map((x) => x / sum);
}

// The tape over a batch: the same operations on B sequences at once, and gradients of the weights.
//
// A vector of n elements becomes n rows of B numbers, one a sequence; a bias or a peephole keeps
// its n and holds for all of them. The cells' equations are the same: they name operations only.

/**
 * One-hot vectors, by where their 1 is: W x is then a column of W.
 * @typedef {object} OneHot
 * @property {Int32Array} hot one a sequence
 */

class BatchTape extends Tape {
  /** @param {boolean} recording @param {number} size B, sequences in the batch */
  constructor(recording, size) {
    super(recording);
    this.size = size;
    /** @type {Float64Array[]} memory that the same operations take again in the next batch */
    this.memory = [];
    this.taken = 0;
  }

  /** Forget the batch before: its vectors' memory is used again. */
  begin() {
    this.taken = 0;
    this.notes = [];
  }

  /** Memory that may hold anything. @param {number} length */
  take(length) {
    const at = this.taken++;
    if (this.memory[at]?.length !== length) this.memory[at] = new Float64Array(length);
    return this.memory[at];
  }

  /** @param {Float64Array} value @param {(gradient: Float64Array) => void} passOn @returns {Vector} */
  result(value, passOn) {
    if (!this.recording) return { value, gradient: null };
    const gradient = this.take(value.length).fill(0);
    this.notes.push(() => passOn(gradient));
    return { value, gradient };
  }

  /** W x for every sequence @param {any} W @param {Vector & OneHot} x */
  dot = (W, x) => {
    const { size } = this;
    const { rows, columns, data } = W;
    const value = this.take(rows * size).fill(0);
    if (x.hot) {
      for (let row = 0, at = 0; row < rows; row++)
        for (let b = 0; b < size; b++, at++) value[at] = data[row * columns + x.hot[b]];
    } else {
      addMatrixProduct(value, data, columns, 1, x.value, size, 1, rows, size, columns);
    }
    return this.result(value, (gradient) => {
      if (x.hot) {
        for (let row = 0, at = 0; row < rows; row++)
          for (let b = 0; b < size; b++, at++)
            W.gradient[row * columns + x.hot[b]] += gradient[at];
        return;
      }
      addMatrixProduct(W.gradient, gradient, size, 1, x.value, 1, size, rows, columns, size);
      if (x.gradient)
        addMatrixProduct(x.gradient, data, 1, columns, gradient, size, 1, columns, size, rows);
    });
  };

  /** a + b + ... @param {...Vector} parts */
  plus = (...parts) => {
    const length = Math.max(...parts.map((part) => part.value.length));
    const value = this.take(length).fill(0);
    for (const part of parts) addSpread(value, part.value, this.size);
    return this.result(value, (gradient) => {
      for (const { gradient: into } of parts) if (into) addGathered(into, gradient, this.size);
    });
  };

  /** a * b, element by element; one of them may hold for all sequences @param {Vector} a @param {Vector} b */
  times = (a, b) => {
    const { size } = this;
    if (a.value.length < b.value.length) [a, b] = [b, a];
    const each = b.value.length < a.value.length ? size : 1; // elements of a for one of b
    const length = a.value.length;
    const value = this.take(length);
    for (let k = 0; k < b.value.length; k++)
      for (let at = k * each; at < (k + 1) * each; at++) value[at] = a.value[at] * b.value[k];
    return this.result(value, (gradient) => {
      if (a.gradient)
        for (let k = 0; k < b.value.length; k++)
          for (let at = k * each; at < (k + 1) * each; at++)
            a.gradient[at] += gradient[at] * b.value[k];
      if (b.gradient)
        for (let k = 0; k < b.value.length; k++)
          for (let at = k * each; at < (k + 1) * each; at++)
            b.gradient[k] += gradient[at] * a.value[at];
    });
  };

  /** @param {Vector} a @param {(x: number) => number} f @param {(y: number) => number} slope */
  squash(a, f, slope) {
    const value = this.take(a.value.length);
    for (let k = 0; k < value.length; k++) value[k] = f(a.value[k]);
    return this.result(value, (gradient) => {
      if (a.gradient)
        for (let k = 0; k < value.length; k++) a.gradient[k] += gradient[k] * slope(value[k]);
    });
  }

  /**
   * L, the mean over the sequences, equation (3).
   * @param {Vector} p K rows
   * @param {any} targets one a sequence
   */
  crossEntropy = (p, targets) => {
    const { size } = this;
    const classes = p.value.length / size;
    const probabilities = this.take(p.value.length);
    let loss = 0;
    for (let b = 0; b < size; b++) {
      let largest = -Infinity;
      for (let k = 0; k < classes; k++) largest = Math.max(largest, p.value[k * size + b]);
      let sum = 0;
      for (let at = b; at < p.value.length; at += size)
        sum += probabilities[at] = Math.exp(p.value[at] - largest);
      for (let at = b; at < p.value.length; at += size) probabilities[at] /= sum;
      loss += (Math.log(sum) + largest - p.value[targets[b] * size + b]) / size;
    }
    const value = this.take(1);
    value[0] = loss;
    return this.result(value, ([gradient]) => {
      for (let at = 0; at < p.value.length; at++)
        p.gradient[at] += (gradient / size) * probabilities[at];
      for (let b = 0; b < size; b++) p.gradient[targets[b] * size + b] -= gradient / size;
    });
  };
}

/**
 * out += A B, (rows, columns), with A (rows, inner) and B (inner, columns), of which each may be
 * transposed: two rows and four columns at a time, whose eight sums stay in the processor.
 * @param {Float64Array} out row after row
 * @param {Float64Array} A
 * @param {number} aRow how far apart two rows of A lie
 * @param {number} aInner
 * @param {Float64Array} B
 * @param {number} bInner
 * @param {number} bColumn
 */
function addMatrixProduct(out, A, aRow, aInner, B, bInner, bColumn, rows, columns, inner) {
  let row = 0;
  for (; row + 1 < rows; row += 2) {
    let column = 0;
    for (; column + 3 < columns; column += 4) {
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0; // of the first row
      let t0 = 0,
        t1 = 0,
        t2 = 0,
        t3 = 0; // of the second
      let a = row * aRow;
      let b = column * bColumn;
      for (let k = 0; k < inner; k++, a += aInner, b += bInner) {
        const one = A[a];
        const two = A[a + aRow];
        const b0 = B[b];
        const b1 = B[b + bColumn];
        const b2 = B[b + 2 * bColumn];
        const b3 = B[b + 3 * bColumn];
        s0 += one * b0;
        s1 += one * b1;
        s2 += one * b2;
        s3 += one * b3;
        t0 += two * b0;
        t1 += two * b1;
        t2 += two * b2;
        t3 += two * b3;
      }
      const at = row * columns + column;
      out[at] += s0;
      out[at + 1] += s1;
      out[at + 2] += s2;
      out[at + 3] += s3;
      out[at + columns] += t0;
      out[at + columns + 1] += t1;
      out[at + columns + 2] += t2;
      out[at + columns + 3] += t3;
    }
    addRest(out, A, aRow, aInner, B, bInner, bColumn, row, 2, columns, column, inner);
  }
  addRest(out, A, aRow, aInner, B, bInner, bColumn, row, rows - row, columns, 0, inner);
}

/** What blocks of two by four leave over: some rows, from a column on. */
function addRest(out, A, aRow, aInner, B, bInner, bColumn, first, count, columns, from, inner) {
  for (let row = first; row < first + count; row++)
    for (let column = from; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < inner; k++)
        sum += A[row * aRow + k * aInner] * B[k * bInner + column * bColumn];
      out[row * columns + column] += sum;
    }
}

/** sum += part, which has as many elements or holds for all sequences */
function addSpread(sum, part, size) {
  if (part.length === sum.length) return addTo(sum, part);
  for (let k = 0, at = 0; k < part.length; k++)
    for (let b = 0; b < size; b++, at++) sum[at] += part[k];
}

/** The reverse: into += part, or its sums over the sequences */
function addGathered(into, part, size) {
  if (into.length === part.length) return addTo(into, part);
  for (let k = 0, at = 0; k < into.length; k++)
    for (let b = 0; b < size; b++, at++) into[k] += part[at];
}

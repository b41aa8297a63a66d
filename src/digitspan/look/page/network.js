// Networks out of the page's data, and their way through some digits.

/**
 * A cell: its equations, once. Every file in cells/ adds one under its registered name.
 * @typedef {object} Cell
 * @property {Record<string, {symbol: string, equation: string}>} states
 * @property {Record<string, {name: string, least: number, equation: string}>} gates
 * @property {(w: any, x: Vector, state: State, operations: any) => State} step
 * @property {(w: any, state: State, operations: any) => Vector} [readOut] W_ph h(t) + b_p by default
 *
 * @typedef {Record<string, Vector>} State
 *
 * @typedef {object} Network
 * @property {number} index where it stands in the page's data
 * @property {string} name
 * @property {string} title
 * @property {string} cell
 * @property {number} inputSize d: 10 for one-hot digits, 1 for digits as numbers
 * @property {number} hiddenSize n
 * @property {number} length T, the length it was trained at; of lists, the items asked about first
 * @property {boolean} solved
 * @property {number} accuracy share of test palindromes answered right, in [0, 1]
 * @property {number[]} shares of lists of 1, 2, ... items recalled whole, in [0, 1]
 * @property {string} summary how its training ended, in a sentence
 * @property {string} why why it was not solved, in a sentence, where it was not
 * @property {{digits: number[], probabilities: number[][]} | null} asked of a cell of one's own:
 *   some digits, and PyTorch's probabilities after each
 * @property {string} label it among others of its cell, in a few words
 * @property {number} steps training steps it had
 * @property {Record<string, Matrix | Vector>} weights
 * @property {{step: number, weights: Record<string, Matrix | Vector>}[]} snapshots the network on
 *   its way, where they were kept; the last is the trained one
 *
 * What a person changes in a network to see what happens.
 * @typedef {object} WhatIf
 * @property {Record<string, number>} clamp gate -> the value that it is held at
 * @property {Set<number>} cut units of whose state nothing reaches the next step
 *
 * @typedef {object} Trace
 * @property {number[]} digits what is read, a symbol a step
 * @property {number[]} targets what is asked after each step; -1 where nothing is
 * @property {number} target what is asked after the last: a palindrome ends as it began
 * @property {Record<string, Float64Array[]>} states by name, one vector a step
 * @property {Record<string, Float64Array[]>} gates by name, one vector a step
 * @property {Float64Array[]} probabilities after each step
 * @property {number[]} predictions the most probable digit after each step; -1 for a network
 *   that diverged
 * @property {number} loss the cross-entropy, the mean over the answers asked for, equation (3)
 * @property {Record<string, Float64Array>} gradientNorms ||dL/ds(t)|| for each state s
 */

/** @type {Record<string, Cell>} */
const CELLS = {};

/**
 * A network with its weights as arrays.
 * @param {any} entry as page/data.py writes it
 * @param {number} index
 * @returns {Network}
 */
function readNetwork(entry, index) {
  const weights = readEntries(entry.weights);
  const before = entry.snapshots.map(({ step, weights }) => ({ step, weights: readEntries(weights) }));
  const snapshots = before.length ? [...before, { step: entry.steps, weights }] : [];
  return { ...entry, index, weights, snapshots };
}

/** Weights as arrays, of the page's data. @param {any} entries */
const readEntries = (entries) =>
  Object.fromEntries(
    Object.entries(entries).map(([name, { shape, data: base64 }]) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const data = Float64Array.from(new Float32Array(bytes.buffer));
      const [rows, columns] = shape;
      return [name, columns ? { rows, columns, data } : { value: data, gradient: null }];
    }),
  );

/** @returns {WhatIf} nothing changed */
const asTrained = () => ({ clamp: {}, cut: new Set() });

/**
 * Step a network through some digits and, where asked, the gradient back through them.
 * @param {Network} network
 * @param {number[]} digits one or more
 * @param {WhatIf} [whatIf]
 * @param {boolean} [withGradient]
 * @param {number[]} [targets] what is asked after each step; by default the first digit at the end
 * @returns {Trace}
 */
function follow(
  network,
  digits,
  whatIf = asTrained(),
  withGradient = true,
  targets = askedAtEnd(digits),
) {
  const cell = CELLS[network.cell];
  const tape = new Tape(withGradient);
  const gates = Object.fromEntries(Object.keys(cell.gates).map((name) => [name, []]));
  const gate = (name, vector) => {
    const held = whatIf.clamp[name];
    const seen = held === undefined ? vector : tape.constant(vector.value.map(() => held));
    gates[name].push(seen.value);
    return seen;
  };
  const operations = { ...tape, gate };
  const names = Object.keys(cell.states);
  const kept = tape.constant(
    Array.from({ length: network.hiddenSize }, (_, k) => (whatIf.cut.has(k) ? 0 : 1)),
  );

  let state = Object.fromEntries(
    names.map((name) => [name, tape.constant(new Float64Array(network.hiddenSize))]),
  );
  const steps = [];
  const logits = [];
  for (const digit of digits) {
    if (whatIf.cut.size)
      state = Object.fromEntries(names.map((name) => [name, tape.times(state[name], kept)]));
    const x = tape.constant(encode(digit, network.inputSize));
    state = cell.step(network.weights, x, state, operations);
    steps.push(state);
    logits.push((cell.readOut ?? readHidden)(network.weights, state, operations));
  }
  const losses = targets.flatMap((target, t) =>
    target === NOT_ASKED ? [] : [tape.crossEntropy(logits[t], target)],
  );
  const loss = tape.scale(1 / losses.length, tape.plus(...losses));
  if (withGradient) tape.backward(loss);

  const probabilities = logits.map((p) => softmax(p.value));
  return {
    digits,
    targets,
    target: targets.at(-1),
    states: Object.fromEntries(names.map((name) => [name, steps.map((at) => at[name].value)])),
    gates,
    probabilities,
    predictions: probabilities.map(largest),
    loss: loss.value[0],
    gradientNorms: withGradient
      ? Object.fromEntries(
          names.map((name) => [name, Float64Array.from(steps, (at) => norm(at[name].gradient))]),
        )
      : {},
  };
}

/** p(t) = W_ph h(t) + b_p, (2) and (10): the read-out of every cell that brings none of its own. */
const readHidden = (w, { hidden: h }, { dot, plus }) => plus(dot(w.W_ph, h), w.b_p);

/**
 * Whether the equations in JavaScript answer as PyTorch does, as far as that is known.
 * @param {Network} network
 */
function agrees(network) {
  if (!network.asked) return true;
  const { probabilities } = follow(network, network.asked.digits, asTrained(), false);
  return network.asked.probabilities.every((row, t) =>
    row.every((expected, digit) => Math.abs(probabilities[t][digit] - expected) < 1e-5),
  );
}

/**
 * How far apart two ways through a network are after each step: ||s(t) - s'(t)||, s all states.
 * @param {Trace} one
 * @param {Trace} other
 */
function distances(one, other) {
  return one.digits.map((_, t) => {
    let sum = 0;
    for (const name of Object.keys(one.states)) {
      const there = other.states[name][t];
      one.states[name][t].forEach((x, k) => (sum += (x - there[k]) ** 2));
    }
    return Math.sqrt(sum);
  });
}

/** A symbol as the network reads it. @param {number} digit @param {number} inputSize */
const encode = (digit, inputSize) =>
  inputSize === 1 ? [digit === SILENT ? -1 : digit] : Array.from({ length: inputSize }, (_, k) => (k === digit ? 1 : 0));

/** @param {ArrayLike<number>} values */
const norm = (values) =>
  Math.sqrt(Array.prototype.reduce.call(values, (sum, x) => sum + x * x, 0));

/** Where the largest value is; -1 where they are no numbers. @param {Float64Array} values */
const largest = (values) =>
  Number.isNaN(values[0]) ? -1 : values.reduce((best, x, k) => (x > values[best] ? k : best), 0);

// Training: batches of palindromes or lists, and RMSprop as torch has it.

/** K: the digits 0 to 9. */
const NUM_CLASSES = 10;

/** n, and sequences in a batch: those of `digitspan study quick`. */
const HIDDEN_SIZE = 32;
const BATCH_SIZE = 32;

/** The gradient is clipped to this norm, as the sheet's training script does. */
const MAX_GRAD_NORM = 10;

/** torch.optim.RMSprop's defaults. */
const SMOOTHING = 0.99;
const EPSILON = 1e-8;

/** Training steps between two evaluations, and what ends a run as solved (training/run.py). */
const EVALUATE_EVERY = 50;
const SOLVED_ACCURACY = 0.99;

/** Fresh sequences in an evaluation, and how many of them are asked at once. */
const NUM_FRESH = 500;
const AT_ONCE = 50;

/** nats: beyond this a network has lost its weights; guessing has 2.3. */
const DIVERGED_LOSS = 1e3;

/**
 * Sequences as the networks read them, step by step.
 * @typedef {object} Batch
 * @property {Int32Array[]} read the symbols of a step, one a sequence
 * @property {(Int32Array | null)[]} asked what is asked after a step; null where nothing is
 *
 * What is asked of the networks.
 * @typedef {object} TaskSettings
 * @property {Asks} asks null for a palindrome's last digit
 * @property {number} length T; of lists twice their items
 */

/** Every symbol one-hot: the ten digits, and the silent step where lists are said. @param {Asks} asks */
const symbolsOf = (asks) => NUM_CLASSES + (asks?.silent ? 1 : 0);

/**
 * A random sequence of the training part, or a fresh one. A hash decides which it is: about four in ten
 * are never trained on. A palindrome's first digit has no say in it, so that tails learned by
 * heart do not help with fresh ones.
 * @param {TaskSettings} task
 * @param {boolean} fresh
 * @param {Random} random
 * @returns {number[]} a palindrome's first T - 1 digits, or a list
 */
function drawSequence({ asks, length }, fresh, random) {
  const free = asks ? length / 2 : Math.ceil(length / 2);
  for (;;) {
    const digits = Array.from({ length: free }, random.digit);
    const deciding = (asks ? digits : digits.slice(1)).join("");
    if (hashOf(deciding) % 10 >= 6 !== fresh) continue;
    return asks ? digits : [...digits, ...digits.slice(1, Math.floor(length / 2)).reverse()];
  }
}

/** Sequences as a batch. @param {Asks} asks @param {number[][]} sequences @returns {Batch} */
function batchOf(asks, sequences) {
  const questions = sequences.map((digits) => question(asks, digits));
  const [{ targets }] = questions;
  const column = (of) => Int32Array.from(questions, of);
  return {
    read: targets.map((_, t) => column(({ digits }) => digits[t])),
    asked: targets.map((target, t) =>
      target === NOT_ASKED ? null : column(({ targets }) => targets[t]),
    ),
  };
}

/** The batches that training at a seed is made on, one after the other: all cells get the same. */
function trainingBatches(task, seed) {
  const random = new Random("data", task.length, JSON.stringify(task.asks), seed);
  return () =>
    batchOf(
      task.asks,
      Array.from({ length: BATCH_SIZE }, () => drawSequence(task, false, random)),
    );
}

/** What every evaluation asks, whatever the seed. @param {TaskSettings} task @returns {Batch[]} */
function freshBatches(task) {
  const random = new Random("fresh", task.length, JSON.stringify(task.asks));
  return Array.from({ length: NUM_FRESH / AT_ONCE }, () =>
    batchOf(
      task.asks,
      Array.from({ length: AT_ONCE }, () => drawSequence(task, true, random)),
    ),
  );
}

/** A network in training. */
class Learner {
  /**
   * @param {string} cell a registered one
   * @param {Record<string, any>} weights by name, with room for their gradients
   * @param {number} rate of the optimiser
   */
  constructor(cell, weights, rate) {
    this.cell = cell;
    this.weights = weights;
    this.rate = rate;
    /** The mean of each gradient's square. */
    this.squares = Object.values(weights).map((one) => new Float64Array(numbersOf(one).length));
    this.tape = null;
    this.fresh = new BatchTape(false, AT_ONCE);
  }

  /**
   * The gradient of the mean loss of a batch, in the weights' `gradient`.
   * @param {Batch} batch
   * @returns {number} the loss, in nats
   */
  differentiate(batch) {
    const size = batch.read[0].length;
    if (this.tape?.size !== size) this.tape = new BatchTape(true, size);
    for (const { gradient } of Object.values(this.weights)) gradient.fill(0);
    const { loss } = this.forward(this.tape, batch);
    this.tape.backward(loss);
    return loss.value[0];
  }

  /**
   * One training step.
   * @param {Batch} batch
   * @returns {{loss: number, norm: number}} before the update, and before clipping
   */
  step(batch) {
    const loss = this.differentiate(batch);
    const all = Object.values(this.weights);
    const norm = Math.sqrt(
      all.reduce((sum, { gradient }) => gradient.reduce((part, g) => part + g * g, sum), 0),
    );
    // As torch.nn.utils.clip_grad_norm_ does.
    const clip = Math.min(1, MAX_GRAD_NORM / (norm + 1e-6));
    all.forEach((one, k) => {
      const numbers = numbersOf(one);
      const squares = this.squares[k];
      for (let at = 0; at < numbers.length; at++) {
        const g = clip * one.gradient[at];
        squares[at] = SMOOTHING * squares[at] + (1 - SMOOTHING) * g * g;
        numbers[at] -= (this.rate * g) / (Math.sqrt(squares[at]) + EPSILON);
      }
    });
    return { loss, norm };
  }

  /**
   * How it answers fresh sequences.
   * @param {Batch[]} batches of `AT_ONCE`
   * @returns {{loss: number, accuracy: number}} the mean loss, and the share of right answers
   */
  evaluate(batches) {
    let sum = 0;
    let right = 0;
    let answers = 0;
    for (const batch of batches) {
      const { loss, logits } = this.forward(this.fresh, batch);
      sum += loss.value[0];
      batch.asked.forEach((targets, t) => {
        targets?.forEach((target, b) => {
          const said = (digit) => logits[t].value[digit * AT_ONCE + b];
          let best = 0;
          for (let digit = 1; digit < NUM_CLASSES; digit++)
            if (said(digit) > said(best)) best = digit;
          right += best === target;
          answers++;
        });
      });
    }
    return { loss: sum / batches.length, accuracy: right / answers };
  }

  /**
   * The way of a batch through the network, by its cell's equations.
   * @param {BatchTape} tape
   * @param {Batch} batch
   */
  forward(tape, { read, asked }) {
    const cell = CELLS[this.cell];
    const { weights } = this;
    const operations = { ...tape, gate: (_, vector) => vector };
    tape.begin();
    const size = weights.W_ph.columns * tape.size;
    let state = Object.fromEntries(
      Object.keys(cell.states).map((name) => [
        name,
        { value: new Float64Array(size), gradient: null },
      ]),
    );
    const losses = [];
    const logits = read.map((hot, t) => {
      state = cell.step(weights, { hot }, state, operations);
      if (!asked[t]) return null;
      const p = readHidden(weights, state, operations);
      losses.push(tape.crossEntropy(p, asked[t]));
      return p;
    });
    return { loss: tape.scale(1 / losses.length, tape.plus(...losses)), logits };
  }
}

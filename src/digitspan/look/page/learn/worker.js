// In a worker: networks are trained side by side, on the same batches, and the page is told how.

/**
 * What is trained, and how.
 * @typedef {object} LearnSettings
 * @property {Asks} asks null for a palindrome's last digit
 * @property {number} length T, of lists twice their items
 * @property {number} rate
 * @property {number} seed of the starts and of the batches
 * @property {{cell: string, start: string, facts: CellFacts}[]} networks
 *
 * How a network stands since the page was last told.
 * @typedef {object} Progress
 * @property {number[]} losses of the training steps
 * @property {{step: number, loss: number, accuracy: number}[]} fresh what evaluations found
 * @property {"training" | "solved" | "diverged"} state
 * @property {number} steps that it was trained
 * @property {Record<string, any>} weights as they are now
 *
 * @typedef {object} Frame
 * @property {number} session
 * @property {number} step
 * @property {boolean} running
 * @property {number} order the last one that the worker has had
 * @property {number} seconds spent on training so far
 * @property {Progress[]} networks
 */

/** Steps after which training stops by itself: the budget of `digitspan study quick`. */
const BUDGET = 1000;

/** Milliseconds of training between two looks at the page's messages. */
const AT_A_TIME = 60;

/** Steps between two evaluations on a few fresh sequences, for the curve; `EVALUATE_EVERY` asks all. */
const LOOK_EVERY = 10;
const FEW = 2; // batches

/** Networks in training. */
class Training {
  /** @param {LearnSettings} settings */
  constructor({ asks, length, rate, seed, networks }) {
    const sizes = { inputSize: symbolsOf(asks), hiddenSize: HIDDEN_SIZE };
    this.learners = networks.map(({ cell, start, facts }) => ({
      learner: new Learner(
        cell,
        startWeights(cell, facts, { start, length, seed, ...sizes }),
        rate,
      ),
      state: "training",
      steps: 0,
      losses: [],
      fresh: [],
      last: 0, // the accuracy of the last whole evaluation
    }));
    const task = { asks, length };
    this.draw = trainingBatches(task, seed);
    this.asked = freshBatches(task);
    this.step = 0;
    this.seconds = 0;
    for (const one of this.learners) this.evaluate(one);
  }

  /** Whether any of them goes on. */
  get goesOn() {
    return this.learners.some(({ state }) => state === "training");
  }

  /** One training step of all that go on. */
  next() {
    const began = performance.now();
    const batch = this.draw();
    this.step++;
    for (const one of this.learners) {
      if (one.state !== "training") continue;
      const { loss, norm } = one.learner.step(batch);
      one.steps++;
      one.losses.push(loss);
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) one.state = "diverged";
      else if (this.step % LOOK_EVERY === 0) this.evaluate(one);
    }
    this.seconds += (performance.now() - began) / 1000;
  }

  /** Ask a network about fresh sequences, and see whether it is at its end. */
  evaluate(one) {
    const whole = this.step % EVALUATE_EVERY === 0;
    const found = one.learner.evaluate(whole ? this.asked : this.asked.slice(0, FEW));
    one.fresh.push({ step: this.step, ...found });
    if (!(found.loss < DIVERGED_LOSS)) one.state = "diverged";
    if (!whole) return;
    if (Math.min(found.accuracy, one.last) >= SOLVED_ACCURACY) one.state = "solved";
    one.last = found.accuracy;
  }

  /** What happened since the last report. @returns {Progress[]} */
  report() {
    return this.learners.map((one) => {
      const { losses, fresh, state, steps } = one;
      Object.assign(one, { losses: [], fresh: [] });
      const weights = Object.entries(one.learner.weights).map(
        ([name, { gradient: _, ...kept }]) => [name, kept],
      );
      return { losses, fresh, state, steps, weights: Object.fromEntries(weights) };
    });
  }
}

/**
 * Do what the page says: begin with settings, run or pause, make some steps, and say how it goes
 * whenever the page has seen what it was told before.
 * @param {any} port
 */
function serve(port) {
  let session = 0;
  let order = 0;
  let wanted = null; // settings to begin with: of several in a row, as a slider sends, the last
  let training = null;
  let running = false;
  let left = 0; // steps asked for besides
  let seen = true;
  let waiting = false; // for the turn that is asked for

  const tell = () => {
    seen = false;
    const { step, seconds } = training;
    port.postMessage({ session, order, step, running, seconds, networks: training.report() });
  };
  const turn = () => {
    waiting = false;
    if (wanted) training = new Training(wanted);
    wanted = null;
    if (!training) return;
    const end = performance.now() + AT_A_TIME;
    while ((running || left > 0) && training.goesOn && performance.now() < end) {
      training.next();
      left = Math.max(0, left - 1);
      if (training.step % BUDGET === 0) running = false;
    }
    if (!training.goesOn) running = false;
    const more = running || (left > 0 && training.goesOn);
    if (seen || !more) tell();
    if (more) soon();
  };
  const soon = () => {
    if (!waiting) globalThis.setTimeout(turn);
    waiting = true;
  };

  port.onmessage = ({ data }) => {
    if (data.begin) {
      ({ session } = data);
      wanted = data.begin;
      left = 0;
      seen = true;
    }
    order = data.order ?? order;
    if (data.run !== undefined) running = data.run;
    if (data.steps) left = data.steps;
    if (data.seen) seen = true;
    else soon();
  };
}

// The page's side of a training: the worker, what it told so far, and the runs that came to an end.

/**
 * What a worker is given: everything above the mark, which knows of no document.
 */
const ENGINE = document.currentScript.textContent.split("// Here the page begins.\n")[0];

/**
 * A run of this page that came to an end.
 * @typedef {object} OwnRun
 * @property {string} cell
 * @property {string} start
 * @property {"palindrome" | "recall"} task
 * @property {number} T
 * @property {number} rate
 * @property {number} seed
 * @property {"solved" | "censored" | "diverged"} outcome censored: not solved within the budget
 * @property {number} steps
 *
 * How one network learns.
 * @typedef {object} Course
 * @property {Float64Array | number[]} losses of every training step
 * @property {{step: number, loss: number, accuracy: number}[]} fresh
 * @property {"training" | "solved" | "diverged"} state
 * @property {number} steps
 */

class Live {
  /**
   * @param {{cells: Record<string, CellFacts>, starts: Record<string, string>}} learn of the data
   * @param {(frame: Frame) => void} onFrame called after each report
   * @param {() => void} onProblem called where the worker broke
   */
  constructor(learn, onFrame, onProblem) {
    this.facts = learn.cells;
    this.onFrame = onFrame;
    this.session = 0;
    this.order = 0;
    /** @type {OwnRun[]} */
    this.runs = [];
    /** @type {Choice} */
    this.choice = usualChoice();
    /** @type {Network[]} */
    this.networks = [];
    /** @type {Course[]} */
    this.courses = [];
    this.step = 0;
    this.running = false;
    this.seconds = 0;
    /** Why nothing can be trained here, in a sentence. */
    this.problem = "";
    const problem =
      "This browser starts no worker for a page of its own, so nothing can be trained here; try another one.";
    try {
      const source = new Blob([ENGINE, "serve(globalThis);\n})();\n"], {
        type: "text/javascript",
      });
      this.worker = new Worker(URL.createObjectURL(source));
      this.worker.onmessage = ({ data }) => this.take(data);
      this.worker.onerror = () => {
        this.problem = problem;
        onProblem();
      };
    } catch {
      this.problem = problem;
    }
  }

  /** Begin anew, at step 0. @param {Choice} choice */
  begin(choice) {
    this.choice = choice;
    const { T: length, rate, seed, cell: cells, start: starts } = choice;
    const asks = asksOf(choice);
    const sizes = { inputSize: symbolsOf(asks), hiddenSize: HIDDEN_SIZE };
    this.networks = cells.map((cell, k) => ({
      ...sizes,
      index: -1,
      name: `${cell}, ${starts[k]}, seed ${seed}`,
      title: this.facts[cell].title,
      cell,
      length: asks ? length / 2 : length,
      solved: false,
      accuracy: 0,
      shares: [],
      summary: "",
      label: "",
      steps: 0,
      snapshots: [],
      why: "",
      asked: null,
      weights: startWeights(cell, this.facts[cell], { start: starts[k], length, seed, ...sizes }),
    }));
    this.courses = cells.map(() => ({ losses: [], fresh: [], state: "training", steps: 0 }));
    this.networks.forEach((_, k) => this.summarise(k));
    Object.assign(this, { step: 0, seconds: 0, session: this.session + 1 });
    const networks = cells.map((cell, k) => ({ cell, start: starts[k], facts: this.facts[cell] }));
    this.tell({
      begin: { asks, length, rate, seed, networks },
      session: this.session,
      run: this.running,
    });
  }

  /** Go on, or pause. @param {boolean} running */
  run(running) {
    this.running = running;
    this.tell({ run: running, order: ++this.order });
  }

  /** Make some steps and stop. @param {number} count */
  walk(count) {
    this.running = false;
    this.tell({ run: false, steps: count, order: ++this.order });
  }

  /** Whether any network can go on. */
  get goesOn() {
    return this.courses.some(({ state }) => state === "training");
  }

  /** What the worker has to say. @param {Frame} frame */
  take(frame) {
    if (frame.session !== this.session) return; // of a training that was given up
    const { step, seconds, running, order } = frame;
    Object.assign(this, { step, seconds });
    if (order === this.order) this.running = running; // it knows what it was told last
    frame.networks.forEach(({ losses, fresh, state, steps, weights }, k) => {
      const course = this.courses[k];
      course.losses.push(...losses);
      course.fresh.push(...fresh);
      Object.assign(course, { state, steps });
      const network = this.networks[k];
      network.weights = weights;
      network.solved = state === "solved";
      network.accuracy = course.fresh.at(-1)?.accuracy ?? 0;
      this.summarise(k);
      this.keepRun(k);
    });
    this.onFrame(frame);
    this.tell({ seen: true });
  }

  /** Note a run that came to an end. @param {number} k */
  keepRun(k) {
    const { state, steps } = this.courses[k];
    if (state === "training" && steps < BUDGET) return;
    const { cell, start, task, T, rate, seed } = this.choice;
    const inBudget = steps <= BUDGET ? state : "censored"; // solved later counts as not solved
    const outcome = inBudget === "training" ? "censored" : inBudget;
    const run = { cell: cell[k], start: start[k], task, T, rate, seed };
    const isSame = (other) => Object.entries(run).every(([name, value]) => other[name] === value);
    if (!this.runs.some(isSame)) this.runs.push({ ...run, outcome, steps });
  }

  /** How a network stands, in a line. @param {number} k */
  summarise(k) {
    const { start, rate, seed, task } = this.choice;
    const { fresh, state, steps } = this.courses[k];
    const network = this.networks[k];
    const last = fresh.at(-1);
    const count = steps.toLocaleString("en");
    const how = {
      training: steps ? `trained for ${count} steps` : "not trained yet",
      solved: `solved after ${count} steps`,
      diverged: `diverged after ${count} steps`,
    }[state];
    const what = task === "recall" ? "digits of fresh lists" : "fresh palindromes";
    const right = last ? `, ${percent(last.accuracy)} of ${what} right` : "";
    const given = `${start[k]} start, rate ${rate}, seed ${seed}`;
    network.summary = `Trained here, n = ${HIDDEN_SIZE}, ${given}: ${how}${right}.`;
  }

  /** @param {any} message */
  tell(message) {
    this.worker?.postMessage(message);
  }
}

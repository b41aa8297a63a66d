// What is trained and how, start and pause, and how the networks learn.

const HOW_IT_LEARNS = `Networks of ${HIDDEN_SIZE} units are trained here, in your browser, by the
equations shown below: batches of ${BATCH_SIZE}, one-hot digits, RMSprop, gradients clipped at
${MAX_GRAD_NORM}. Fresh ones were never trained on. A network is solved where ${percent(SOLVED_ACCURACY)}
of ${NUM_FRESH} fresh ones are right twice in a row, ${EVALUATE_EVERY} steps apart; training pauses after
${BUDGET.toLocaleString("en")} steps. All that you choose stands in the address: the link shows another person the
same.`;

/** Steps that the button for some steps makes. */
const SOME_STEPS = 10;

class Laboratory {
  /** @param {HTMLElement} host @param {App} app */
  constructor(host, app) {
    this.app = app;
    this.enter = button(
      { id: "learn-enter", onclick: () => this.come() },
      "Train two networks in this page",
    );
    this.host = host;
    this.section = null; // until networks learn
    host.append(this.enter);
  }

  /** What there is to choose and to see, once networks learn. */
  build() {
    const { app } = this;
    const { learn } = app.data;
    const change = (changes) => app.choose(changes);
    const select = (id, entries, onchange) => {
      const options = Object.entries(entries).map(([value, text]) =>
        make("option", { value }, text),
      );
      return make("select", { id, onchange }, ...options);
    };
    const cells = Object.fromEntries(
      Object.entries(learn.cells).map(([name, { title }]) => [name, title]),
    );
    this.task = select("learn-task", LEARN_TASKS, () => {
      const task = /** @type {any} */ (this.task.value);
      const { T } = app.live.choice;
      change({ task, T: task === "recall" && T % 2 ? T + 1 : T, digits: "" });
    });
    this.length = make("input", {
      id: "learn-T",
      type: "number",
      onchange: () => this.takeNumbers(),
    });
    this.seed = make("input", {
      id: "learn-seed",
      type: "number",
      min: 0,
      max: MOST_SEED,
      step: 1,
      onchange: () => this.takeNumbers(),
    });
    this.rate = rateSlider("learn-rate", app);
    this.cells = [0, 1].map((k) => {
      const others = k === 1 ? { none: "none" } : {};
      const cell = select(`learn-cell-${k + 1}`, { ...cells, ...others }, () => {
        const chosen = this.cells.map(({ cell }) => cell.value).filter((name) => name !== "none");
        const { cell: before, start } = app.live.choice;
        const starts = chosen.map((name, at) =>
          name === before[at] ? start[at] : usualChoice().start[0],
        );
        change({ cell: chosen, start: starts });
      });
      const start = make("select", {
        id: `learn-start-${k + 1}`,
        onchange: () =>
          change({ start: app.live.choice.start.with(k, this.cells[k].start.value) }),
      });
      const letter = "ab"[k];
      const field = make(
        "fieldset",
        { class: `who ${letter}` },
        make("legend", {}, swatch({ letter }), ` Network ${k + 1}`),
        labelled("Cell", cell),
        labelled("Start", start),
      );
      return { cell, start, field };
    });
    this.start = button({ id: "learn-start", onclick: () => app.toggleTraining() });
    this.some = button(
      { id: "learn-step", onclick: () => app.live.walk(SOME_STEPS) },
      `${SOME_STEPS} steps`,
    );
    this.again = button({ id: "learn-again", onclick: () => app.choose({}) }, "again from step 0");
    this.count = make("output", { id: "learn-count" });
    this.message = make("p", { id: "learn-message", role: "status" });
    this.loss = make("div", { class: "chart" });
    this.right = make("div", { class: "chart" });
    this.findings = make("div", { class: "finding", id: "learn-findings" });
    const leave = { id: "learn-leave", onclick: () => app.leave() };
    this.leave = button(leave, "back to the trained networks");
    this.legend = make("span", { class: "legend" });
    const figure = (chart, caption) => make("figure", {}, chart, make("figcaption", {}, caption));
    this.section = make(
      "section",
      { class: "panel", id: "laboratory", "aria-labelledby": "laboratory-title" },
      make("h2", { id: "laboratory-title" }, "Networks that learn"),
      make("p", { class: "look" }, HOW_IT_LEARNS),
      make(
        "div",
        { class: "choices" },
        labelled("To learn", this.task),
        labelled("T", this.length),
        labelled("Learning rate", this.rate.element),
        labelled("Seed", this.seed),
      ),
      make("div", { class: "choices" }, ...this.cells.map(({ field }) => field)),
      controlLine(this.start, this.some, this.again, this.count, this.leave),
      this.message,
      make(
        "div",
        { class: "columns columns-2" },
        figure(this.right, "share of fresh ones right, by training step"),
        figure(this.loss, "loss in nats of each batch, by training step"),
      ),
      controlLine(this.legend),
      this.findings,
    );
    this.host.append(this.section);
  }

  /** Networks that learn come on show, and the button that starts them. */
  come() {
    const { app } = this;
    app.learn();
    app.pager.turnToSection(this.section);
    this.start.focus();
  }

  /** Take T and the seed as they were typed, or say why not. */
  takeNumbers() {
    const { task } = this.app.live.choice;
    const typed = { ...this.app.live.choice, T: this.length.value, seed: this.seed.value };
    const { choice, problem } = readAddress(addressOf({ ...typed, task }), this.app.live.facts);
    if (problem) return this.refuse(problem.replace(/^In the address, /, "").replace(/;.*/, "."));
    const { T, seed } = choice;
    this.app.choose({ T, seed, digits: T === this.app.live.choice.T ? choice.digits : "" });
  }

  /** Say what is wrong with a choice; what was chosen before stays. @param {string} problem */
  refuse(problem) {
    this.message.className = "problem";
    this.message.textContent = problem;
  }

  /** Forget what was wrong, but for what stays wrong. */
  accept() {
    this.refuse(this.app.live.problem);
    if (!this.app.live.problem) this.message.className = "";
  }

  draw() {
    const { app } = this;
    const { live } = app;
    this.enter.hidden = app.isLive;
    if (this.section) this.section.hidden = !app.isLive;
    if (!app.isLive) return;
    if (!this.section) this.build();
    const { choice, networks } = live;
    const lists = choice.task === "recall";
    this.leave.hidden = app.data.networks.length === 0;
    this.task.value = choice.task;
    Object.assign(this.length, {
      min: lists ? LEAST_LENGTH + 1 : LEAST_LENGTH,
      max: MOST_LENGTH,
      step: lists ? 2 : 1,
    });
    const name = lists ? "T, twice the digits of the list" : "T, digits of the palindrome";
    this.length.closest("label").firstChild.textContent = name;
    for (const [input, value] of [
      [this.length, choice.T],
      [this.seed, choice.seed],
    ])
      if (document.activeElement !== input) input.value = String(value);
    this.rate.draw();
    this.cells.forEach(({ cell, start }, k) => {
      cell.value = choice.cell[k] ?? "none";
      start.disabled = choice.cell[k] === undefined;
      const starts = live.facts[choice.cell[k]]?.starts ?? [];
      if (start.dataset.of !== starts.join()) {
        start.replaceChildren(...starts.map((name) => make("option", { value: name }, name)));
        start.dataset.of = starts.join();
      }
      if (choice.start[k]) start.value = choice.start[k];
      start.title = app.data.learn.starts[choice.start[k]] ?? "";
    });
    this.start.textContent = live.running ? "pause" : "start";
    this.start.disabled = this.some.disabled = !live.goesOn;
    const speed = live.seconds > 0.2 ? `, ${Math.round(live.step / live.seconds)} a second` : "";
    this.count.textContent = `step ${live.step.toLocaleString("en")}${speed}`;
    this.legend.replaceChildren(
      ...app.slots.map((slot) => make("span", {}, swatch(slot), slot.title)),
    );
    if (app.pager.isOff(this.section)) return;
    drawAccuracies(this.right, app);
    this.drawLosses();
    const found = networks.map((_, k) => make("p", {}, describeCourse(app, k)));
    if (this.findings.textContent !== found.map((p) => p.textContent).join(""))
      this.findings.replaceChildren(...found);
  }

  drawLosses() {
    const { app } = this;
    const curves = app.live.courses.map((course, k) => ({
      points: thinned(course.losses),
      look: app.slots[k].letter,
      label: app.slots[k].title,
      solved: solvedAt(course),
    }));
    const last = curves.map(
      ({ points, label }) =>
        `${label}: ${points.length ? points.at(-1)[1].toFixed(2) : "none yet"}`,
    );
    drawCurves(this.loss, {
      curves,
      steps: app.live.step,
      range: [0, 3],
      reference: { value: Math.log(NUM_CLASSES), label: "guessing, ln 10" },
      description: `Loss by training step, last: ${last.join("; ")}.`,
      height: 130,
    });
  }
}

/** The share of fresh ones right, by training step. @param {HTMLElement} host @param {App} app */
function drawAccuracies(host, app) {
  const curves = app.live.courses.map((course, k) => ({
    points: course.fresh.map(({ step, accuracy }) => [step, accuracy]),
    look: app.slots[k].letter,
    label: app.slots[k].title,
    solved: solvedAt(course),
  }));
  drawCurves(host, {
    curves,
    steps: app.live.step,
    range: [0, 1],
    reference: { value: 1 / NUM_CLASSES, label: "guessing, 1 in 10" },
    description: `Share of fresh ones right, by training step. ${curves.map((_, k) => describeCourse(app, k)).join(" ")}`,
    height: 130,
  });
}

const solvedAt = (/** @type {Course} */ { state, steps }) => (state === "solved" ? steps : null);

/** How a network learns, in a sentence. @param {App} app @param {number} k */
function describeCourse({ live, slots }, k) {
  const { state, steps, fresh } = live.courses[k];
  const last = fresh.at(-1);
  const count = `${steps.toLocaleString("en")} steps`;
  const right = last
    ? `${percent(last.accuracy)} of what is asked is right, where guessing gives 10 %`
    : "";
  if (state === "solved") return `${slots[k].title}: solved after ${count}.`;
  if (state === "diverged")
    return `${slots[k].title}: diverged after ${count}, its numbers are lost.`;
  if (!right) return `${slots[k].title}: not asked yet.`;
  return `${slots[k].title}: after ${count} ${right}.`;
}

/** A slider over four decades of the learning rate. @param {string} id @param {App} app */
function rateSlider(id, app) {
  const places = PLACES_A_DECADE * Math.round(Math.log10(MOST_RATE / LEAST_RATE));
  const slider = make("input", {
    id,
    type: "range",
    min: 0,
    max: places,
    step: 1,
    oninput: () => app.choose({ rate: rateAt(Number(slider.value)) }),
  });
  const value = make("output", { for: id });
  const draw = () => {
    const { rate } = app.live.choice;
    slider.value = String(placeOfRate(rate));
    slider.setAttribute("aria-valuetext", String(rate));
    value.textContent = String(rate);
  };
  return { slider, draw, element: make("span", { class: "rate" }, slider, value) };
}

/** A control with its name. @param {string} name @param {HTMLElement} control */
const labelled = (name, control) => make("label", { class: "choice" }, name, " ", control);

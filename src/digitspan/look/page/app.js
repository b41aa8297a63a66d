// The page as a whole: what is on show, what follows from it, and when it is drawn anew.

const STEP_MILLISECONDS = 350;

const LEAD_OF_LISTS = `A list of digits is read. Then come as many silent steps, in which the network says it again
backwards, the last digit first, one digit a step: it must hold the whole list.`;

const ABOUT_LEARNING = "The networks of this page know nothing yet: they learn while you look on.";

class App {
  /** @param {any} data what Python handed over (page/data.py) */
  constructor(data) {
    this.data = data;
    /** @type {Network[]} */
    this.networks = data.networks.map(readNetwork);
    /** @type {Slot[]} */
    this.slots = data.show.map((/** @type {number} */ index, /** @type {number} */ k) =>
      newSlot(this.networks[index], k),
    );
    /** @type {Asks} */
    this.asks = data.asks;
    /** @type {number[]} the digits typed */
    this.list = [];
    /** @type {number[]} what is read of them, a symbol a step */
    this.digits = [];
    this.step = 0;
    this.place = 0; // whose digit is changed: of a palindrome always the first
    this.other = 0;
    this.sort = "first";
    this.relative = false;
    this.beyond = 0; // the length that networks are asked beyond their training; 0: twice it
    this.isExample = false;
    this.playing = 0;
    this.asked = new Map();
    /** What is on show besides the networks that learn here. */
    this.trained = { networks: this.networks, slots: this.slots, asks: this.asks };
    /** @type {Live | null} networks in training, once there were any */
    this.live = null;
    this.isLive = false;
    /** @type {Set<Element>} sections that can be seen */
    this.inSight = new Set();
    this.lead = document.getElementById("lead").textContent;
    this.pager = new Screens(document.getElementById("screens"), () => this.show({}));
    this.laboratory = new Laboratory(document.getElementById("learn"), this);
    this.watchSight();
    const { choice, problem } = this.address;
    if (choice || this.networks.length === 0) this.learn(choice ?? usualChoice());
    else this.showTrained();
    this.showProblem(problem);
    addEventListener("hashchange", () => this.followAddress());
    document.getElementById("skip").addEventListener("click", (event) => {
      event.preventDefault(); // the address is what was chosen
      document.getElementById("panels").focus();
    });
    const drawAnew = () => {
      forgetLayout();
      this.show({});
    };
    let width = document.getElementById("panels").clientWidth;
    new ResizeObserver(([{ target }]) => {
      if (target.clientWidth === width) return; // it only grew longer
      width = target.clientWidth;
      drawAnew();
    }).observe(document.getElementById("panels"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  }

  /** The trained networks that the page was written with. */
  showTrained() {
    const { data } = this;
    Object.assign(this, this.trained, { isLive: false });
    this.head(data.lead || this.lead, data.about);
    this.build();
    this.begin(Math.max(...this.slots.map((slot) => slot.network.length)));
  }

  /** The head of the page, and the bar. @param {string} lead @param {string} about */
  head(lead, about) {
    document.getElementById("lead").textContent = lead;
    document.getElementById("about").textContent = about;
    const names = this.slots.map((slot) => slot.network.title).join(" and ");
    const what = this.isLive ? "Networks that learn" : "Look inside a network";
    document.title = `${names} · ${what} · digitspan`;
    document.getElementById("story").hidden = !this.isLive;
    const host = document.getElementById("bar");
    host.replaceChildren();
    this.bar = new Bar(host, this);
    this.laboratory.draw();
  }

  /** What the address chooses; its choice is null where it chooses nothing. */
  get address() {
    return readAddress(location.hash.slice(1), this.data.learn.cells);
  }

  /** The address was changed by hand, or by going back. */
  followAddress() {
    const { choice, problem } = this.address;
    if (!choice) return;
    if (this.isLive && addressOf(choice) === addressOf(this.live.choice)) this.writeAddress();
    else this.learn(choice);
    this.showProblem(problem);
  }

  /** What is wrong with the address. @param {string} problem empty where nothing is */
  showProblem(problem) {
    document.getElementById("address").textContent = problem;
  }

  /** Networks that learn here come on show, at their start. @param {Choice} choice */
  learn(choice = usualChoice()) {
    this.live ??= new Live(
      this.data.learn,
      (frame) => this.takeFrame(frame),
      () => this.laboratory.accept(),
    );
    this.isLive = true;
    this.screens ??= this.watched(buildStory(document.getElementById("story"), this));
    this.slots = [];
    this.choose(choice);
  }

  /** Go back to the networks that the page was written with. */
  leave() {
    this.live.run(false);
    history.replaceState(null, "", "#");
    this.showTrained();
    /** @type {HTMLElement} */ (document.getElementById("learn-enter")).focus();
  }

  /** Choose something else for the networks that learn: they begin anew. @param {Partial<Choice>} changes */
  choose(changes) {
    const { live } = this;
    const before = live.choice;
    const choice = { ...before, ...changes };
    live.begin(choice);
    this.writeAddress();
    if (choice.T !== before.T) this.beyond = 0;
    const asked = choice.T !== before.T || choice.task !== before.task || this.slots.length === 0;
    const same = this.slots.length > 0 && String(before.cell) === String(choice.cell);
    this.networks = live.networks;
    if (same && before.task === choice.task)
      live.networks.forEach((network, k) => (this.slots[k].network = network));
    else {
      this.asks = asksOf(choice);
      this.slots = live.networks.map(newSlot);
      this.digits = [];
      this.place = 0;
      this.head(this.asks ? LEAD_OF_LISTS : this.lead, ABOUT_LEARNING);
      this.build();
    }
    this.laboratory.accept();
    this.showProblem("");
    if (choice.digits) this.write([...choice.digits].map(Number));
    else if (asked || this.digits.length === 0) {
      this.asked.clear();
      this.another(live.networks[0].length);
    } else this.change({});
  }

  /** Put what is chosen into the address. */
  writeAddress() {
    history.replaceState(null, "", `#${addressOf(this.live.choice)}`);
  }

  /** Start, or pause; where all have come to their end, begin anew. */
  toggleTraining() {
    const { live } = this;
    if (!live.goesOn) this.choose({});
    live.run(!live.running);
    this.drawLearning();
  }

  /** The networks have learned. @param {Frame} frame */
  takeFrame({ running }) {
    if (!this.isLive) return;
    // What cannot be seen is drawn when it comes into sight, or when training pauses.
    this.change({}, running ? this.inSight : undefined);
  }

  /** Draw what shows the training. @param {Set<Element>} [only] */
  drawLearning(only) {
    this.laboratory.draw();
    if (this.isLive && this.slots[0]?.trace) drawStory(this.screens, this, only);
  }

  /** Another sequence of the length that is on show. */
  anotherSequence() {
    this.another(this.asks ? this.list.length : this.list.length + 1);
  }

  /** Keep track of which sections can be seen, and draw those that come into sight. */
  watchSight() {
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.inSight.add(target);
        else this.inSight.delete(target);
      }
      const came = new Set(entries.filter((e) => e.isIntersecting).map(({ target }) => target));
      if (came.size) this.show({}, came);
    });
  }

  /** @param {any[]} parts with a `section` each */
  watched(parts) {
    for (const { section } of parts) this.sight.observe(section);
    return parts;
  }

  /** Set up the cards and panels for the networks on show. */
  build() {
    const titles = this.slots.map((slot) => slot.network.title);
    const same = titles.length === 2 && titles[0] === titles[1];
    for (const slot of this.slots)
      slot.title = same
        ? `${slot.letter.toUpperCase()} ${slot.network.title}`
        : slot.network.title;
    this.verdicts = buildVerdicts(this);
    this.panels = PANELS.filter((panel) => !panel.needs || panel.needs(this)).map((panel) =>
      Object.create(panel),
    );
    for (const section of document.getElementById("panels").children)
      this.sight.unobserve(section);
    this.inSight.clear();
    for (const { section } of this.screens ?? []) {
      this.sight.unobserve(section); // observed anew, it tells at once whether it can be seen
      this.sight.observe(section);
    }
    const sections = this.panels.map((panel) => {
      const section = frame(panel, this);
      panel.build(section, this);
      panel.section = section;
      this.sight.observe(section);
      return section;
    });
    document.getElementById("panels").replaceChildren(this.verdicts.element, ...sections);
    this.pager.put([
      ...(this.isLive ? this.screens : []).map(({ section, screen }) => ({
        title: (this.asks && screen.ofLists) || screen.title,
        section,
      })),
      ...(this.isLive
        ? [{ title: "Networks that learn", section: this.laboratory.section }]
        : []),
      { title: "What they say", section: this.verdicts.element },
      ...this.panels.map(({ section, title, recall }) => ({
        title: (this.asks && recall.title) || title,
        section,
      })),
    ]);
    forgetLayout();
  }

  /** Read a line that was typed. @param {string} text */
  read(text) {
    const { digits, problem } = readDigits(text, this.asks ? MOST_ITEMS : MOST_DIGITS);
    if (digits === null) return this.bar.refuse(problem);
    if (this.isLive) {
      this.live.choice.digits = digits.join("");
      this.writeAddress();
    }
    this.take(digits, false);
  }

  /** Put digits into the line. @param {number[]} digits */
  write(digits, isExample = false) {
    this.bar.line.value = digits.join("");
    this.take(digits, isExample);
  }

  /** Ask about these digits. @param {number[]} digits @param {boolean} isExample */
  take(digits, isExample) {
    this.bar.accept();
    const atEnd = this.step === this.digits.length - 1 || this.digits.length === 0;
    this.list = digits;
    this.digits = question(this.asks, digits).digits;
    this.isExample = isExample;
    const last = this.digits.length - 1;
    this.step = atEnd ? last : Math.min(this.step, last);
    const place = Math.min(this.place, digits.length - 1);
    if (this.other === digits[place]) this.changePlace(place);
    else this.change({ place });
  }

  /** Change the digit of another place of the list. @param {number} place from 0 on */
  changePlace(place) {
    this.change({ place, other: (this.list[place] + 5) % 10 });
  }

  /**
   * Ask first about a held-out palindrome, or list, that each network answers as it mostly does.
   * @param {number} trained a length T, or items L, that a network was trained at
   */
  begin(trained) {
    const length = Math.min(this.mostAsked, trained);
    const examples = (this.isLive ? {} : this.data.examples)[length] ?? [];
    const typical = examples.findIndex((/** @type {string} */ text) =>
      this.slots.every(({ network }) => {
        const { digits, targets } = question(this.asks, [...text].map(Number));
        const { predictions } = follow(network, digits, asTrained(), false, targets);
        const right = targets.every((target, t) => target < 0 || predictions[t] === target);
        const share = this.asks ? (network.shares[length - 1] ?? 0) : network.accuracy;
        return right === share >= 0.5;
      }),
    );
    this.asked.set(length, Math.max(0, typical));
    this.another(length);
  }

  /** The longest palindrome, or list, that can be asked about. */
  get mostAsked() {
    return this.asks ? MOST_ITEMS : MOST_DIGITS + 1;
  }

  /** Ask about another palindrome, or list. @param {number} length T, or items L */
  another(length) {
    const most = this.mostAsked;
    const least = this.asks ? 1 : 2;
    if (!Number.isInteger(length) || length < least || length > most) {
      const range = `must be a whole number from ${least} to ${most}`;
      return this.bar.refuse(
        this.asks
          ? `The length L ${range}; so many digits are read.`
          : `The length T ${range}; T − 1 digits are read.`,
      );
    }
    const examples = this.data.examples[length];
    const count = this.asked.get(length) ?? 0;
    this.asked.set(length, count + 1);
    if (this.isLive && this.live.choice.digits) {
      this.live.choice.digits = "";
      this.writeAddress();
    }
    if (this.isLive && length > 4) this.write(this.fresh(length, count), true);
    else if (examples) this.write([...examples[count % examples.length]].map(Number), true);
    else this.write(this.asks ? drawList(length) : drawPalindrome(length));
  }

  /** One that is kept out of training here, the same for everybody. @param {number} length T, or items L */
  fresh(length, count) {
    const task = { asks: this.asks, length: this.asks ? 2 * length : length };
    return drawSequence(task, true, new Random("asked", JSON.stringify(task), count));
  }

  /**
   * Take up changes that the networks feel, and draw.
   * @param {Partial<App>} changes
   * @param {Set<Element>} [only] the sections to draw; all by default
   */
  change(changes, only) {
    Object.assign(this, changes);
    const asked = question(this.asks, this.list);
    const changed = question(this.asks, this.list.with(this.place, this.other));
    for (const slot of this.slots) {
      slot.trace = follow(slot.network, asked.digits, slot.whatIf, true, asked.targets);
      slot.changed = follow(slot.network, changed.digits, slot.whatIf, false, changed.targets);
      slot.distances = distances(slot.trace, slot.changed);
      if (slot.unit < 0) slot.unit = sortedUnits(slot, "first")[0];
    }
    this.show({}, only);
  }

  /**
   * Take up changes of the view alone, and draw.
   * @param {Partial<App>} changes
   * @param {Set<Element>} [only] the sections to draw; all by default
   */
  show(changes, only) {
    Object.assign(this, changes);
    if (!this.slots[0]?.trace) return;
    this.bar.draw();
    drawVerdicts(this.verdicts, this);
    for (const panel of this.panels)
      if ((!only || only.has(panel.section)) && !this.pager.isOff(panel.section)) panel.draw(this);
    if (this.isLive) this.drawLearning(only);
  }

  /** Take a step in hand. @param {number} step from 0 on */
  pick(step) {
    if (step !== this.step) this.show({ step });
  }

  /** Follow a unit of a network. @param {number} k which network @param {number} unit */
  follow(k, unit) {
    this.slots[k].unit = unit;
    this.show({});
  }

  /** Cut the recurrence of a unit, or join it again. @param {number} k which network */
  toggleCut(k, unit = this.slots[k].unit) {
    const { cut } = this.slots[k].whatIf;
    if (!cut.delete(unit)) cut.add(unit);
    this.change({});
  }

  /** Hold a gate at a value; undefined lets it go. @param {Slot} slot */
  clamp(slot, gate, value) {
    if (value === undefined) delete slot.whatIf.clamp[gate];
    else slot.whatIf.clamp[gate] = value;
    this.change({});
  }

  /** Where a network of the page goes: in the place of one of the same cell. @param {Network} network */
  slotOf({ cell }) {
    return Math.max(
      this.slots.findIndex((slot) => slot.network.cell === cell),
      0,
    );
  }

  /** Look into another network of the page. @param {number} index */
  load(index) {
    const network = this.networks[index];
    const k = this.slotOf(network);
    this.slots[k] = newSlot(network, k);
    this.build();
    this.digits = [];
    this.begin(network.length);
    /** @type {HTMLElement} */ (document.getElementById(`network-${"ab"[k]}`))?.focus();
  }

  /** Look at a network on its way through training. @param {number} k which @param {number} snapshot */
  lookAt(k, snapshot) {
    const slot = this.slots[k];
    const { weights } = slot.network.snapshots[snapshot];
    Object.assign(slot, { snapshot, network: { ...slot.network, weights } });
    this.change({});
  }

  /** Go through the steps by themselves, or stop. */
  play() {
    if (this.playing) return this.stop();
    if (this.step === this.digits.length - 1) this.step = -1;
    this.playing = globalThis.setInterval(() => {
      this.pick(Math.min(this.step + 1, this.digits.length - 1));
      if (this.step === this.digits.length - 1) this.stop();
    }, STEP_MILLISECONDS);
    this.bar.play.textContent = "stop";
  }

  stop() {
    globalThis.clearInterval(this.playing);
    this.show({ playing: 0 });
  }
}

/** @param {Network} network @param {number} k @returns {any} */
function newSlot(network, k) {
  return {
    letter: "ab"[k],
    title: network.title,
    network,
    snapshot: network.snapshots.length - 1,
    whatIf: asTrained(),
    unit: -1,
    trace: null,
    changed: null,
    distances: [],
  };
}

const app = new App(JSON.parse(document.getElementById("data").textContent));

// For the console, and for whoever checks the numbers.
const traceOf = (index, text, { clamp = {}, cut = [] } = {}) => {
  const typed = readDigits(text, app.asks ? MOST_ITEMS : MOST_DIGITS);
  if (typed.digits === null) throw new Error(typed.problem);
  const { digits, targets } = question(app.asks, typed.digits);
  return follow(app.networks[index], digits, { clamp, cut: new Set(cut) }, true, targets);
};
Object.assign(globalThis, {
  digitspan: {
    networks: app.networks.map(({ name }) => name),
    trace: traceOf,
    training: {
      learner: (cell, lists, rate) => new Learner(cell, readWeights(lists), rate),
      network: (cell, weights, rate) => new Learner(cell, weights, rate),
      start: (cell, how) => startWeights(cell, app.data.learn.cells[cell], how),
      batches: trainingBatches,
      fresh: freshBatches,
      weights: (index) => app.networks[index].weights,
    },
    distances: (index, one, other) => distances(traceOf(index, one), traceOf(index, other)),
  },
});

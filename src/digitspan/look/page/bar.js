// The line of digits, the step in hand, what is changed, and each network's answer in short.

class Bar {
  /** @param {HTMLElement} host @param {App} app */
  constructor(host, app) {
    this.app = app;
    this.line = make("input", {
      id: "digits",
      type: "text",
      inputmode: "numeric",
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": "message",
      oninput: () => app.read(this.line.value),
    });
    this.message = make("p", { id: "message", role: "status" });
    const ask = () => app.another(Number(this.length.value));
    this.length = make("input", {
      id: "length",
      type: "number",
      min: app.asks ? 1 : 2,
      max: app.mostAsked,
      step: 1,
      onchange: ask,
    });
    const another = button({ id: "another", onclick: ask }, "another");
    const drop = { id: "drop", onclick: () => app.write(app.list.slice(0, -1)) };
    this.drop = button(drop, "take the last away");
    this.step = make("input", {
      id: "step",
      type: "range",
      min: 1,
      step: 1,
      oninput: () => app.pick(Number(this.step.value) - 1),
    });
    this.stepText = make("output", { for: "step" });
    this.play = button({ id: "play", onclick: () => app.play() });
    this.chips = make("p", { class: "chips", id: "chips" });
    this.pills = make("p", { class: "pills" });
    this.ask = make("b", { class: "ask", "aria-hidden": "true" }, "?");
    host.append(
      make(
        "div",
        { class: "row" },
        make("label", { for: "digits" }, app.asks ? "The list" : "Digits read"),
        make("span", { class: "line" }, this.line, this.ask),
        make("span", { class: "length" }, make("label", { for: "length" }, app.asks ? "L =" : "T ="), this.length),
        another,
        this.drop,
      ),
      this.message,
      make(
        "div",
        { class: "row steps" },
        this.play,
        make("label", { for: "step" }, "Step"),
        this.step,
        this.stepText,
        this.pills,
      ),
      this.chips,
    );
    this.mark(false);
  }

  /** Show what the line holds now. */
  draw() {
    const { app } = this;
    const { asks, digits, list, step } = app;
    if (!this.refused) this.message.textContent =
      (asks ? describeList(asks, list) : describeDigits(list)) +
      (app.isExample ? " It was kept out of training." : "");
    this.drop.hidden = asks !== null || beginsPalindrome(list) || !isPalindrome(list);
    if (document.activeElement !== this.length)
      this.length.value = String(asks ? list.length : list.length + 1);
    this.step.max = String(digits.length);
    this.step.value = String(step + 1);
    const place = `${step + 1} of ${digits.length}`;
    const read = digits[step] === SILENT ? "silent" : `a ${digits[step]}`;
    const what = asks ? "after step" : "after digit";
    this.step.setAttribute("aria-valuetext", `${what} ${place}, ${read}`);
    this.stepText.textContent = place;
    this.play.textContent = app.playing ? "stop" : "play";
    this.pills.replaceChildren(...app.slots.map((slot) => pill(slot, asks)));
    this.chips.replaceChildren(...this.changes());
    this.chips.hidden = this.chips.children.length === 0;
  }

  /** Say what is wrong with the line, or the length; nothing is said of it until it is mended. */
  refuse(/** @type {string} */ problem) {
    this.mark(true);
    this.message.textContent = problem;
  }

  /** The line can be asked about. */
  accept() {
    this.mark(false);
  }

  /** @param {boolean} refused */
  mark(refused) {
    this.refused = refused;
    if (refused) this.line.setAttribute("aria-invalid", "true");
    else this.line.removeAttribute("aria-invalid");
    this.message.className = refused ? "problem" : "";
    document.body.classList.toggle("refused", refused);
  }

  /** What is changed in the networks, each with a button that takes it back. */
  changes() {
    const { app } = this;
    return app.slots.flatMap((slot, k) => {
      const clamps = Object.entries(slot.whatIf.clamp).map(([gate, value]) =>
        chip(`${slot.title}: ${gate} held at ${value}`, () => app.clamp(slot, gate, undefined)),
      );
      const cuts = [...slot.whatIf.cut].map((unit) =>
        chip(`${slot.title}: unit ${unit + 1} cut`, () => app.toggleCut(k, unit)),
      );
      const last = slot.network.snapshots.length - 1;
      const way = slot.snapshot === last ? [] : [
        chip(`${slot.title}: ${wordsOfSnapshot(slot)}`, () => app.lookAt(k, last)),
      ];
      return [...way, ...clamps, ...cuts];
    });
  }
}

/** A network's answer in three words. @param {Slot} slot @param {Asks} asks */
function pill({ letter, title, trace }, asks) {
  if (asks) {
    const places = saidOfPlaces(asks, trace);
    const right = places.filter((place) => place.right).length;
    const whole = right === places.length;
    const look = { class: `pill ${letter} ${whole ? "right" : "wrong"}` };
    const count = make("b", {}, `${right} of ${places.length}`);
    return make("span", look, `${title}: `, count, whole ? " ✓ whole" : " ✗ not whole");
  }
  const said = trace.predictions.at(-1);
  const right = said === trace.target;
  const look = { class: `pill ${letter} ${right ? "right" : "wrong"}` };
  const answer = make("b", {}, sayDigit(said));
  return make("span", look, `${title} says `, answer, right ? " ✓ right" : " ✗ wrong");
}

/** A change that can be taken back. */
function chip(text, onclick) {
  const cross = make("span", { "aria-hidden": "true" }, " ✕");
  return button({ class: "chip", onclick, "aria-label": `Take back: ${text}` }, text, cross);
}

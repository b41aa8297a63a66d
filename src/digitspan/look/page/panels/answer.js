// The prediction after each digit: ten bars a step.

const ROW = 15;
const DIGIT_ROW = 26;

PANELS.push({
  id: "answer",
  title: "The answer after each digit",
  question: "Question 1.3",
  text: `Each column holds ten bars, one for each digit: how probable the network finds it after
    what it has read so far. The framed row is the right answer. Training asks after the last
    digit alone, so what counts is whether the bar fills the frame at the far right; where a
    network answers right all the way, it holds the digit in the open.`,
  recall: {
    title: "What it would say after each step",
    text: `Each column holds ten bars, one for each digit: how probable the network finds it after
      what it has read so far. A framed cell is an answer that is asked for, one a step in the
      second half; it is right where the bar in the frame is the longest of its column. The bar
      below the digits said marks the right ones.`,
  },

  build(section, app) {
    this.parts = sideBySide(section, app.slots, (slot) => {
      const host = stepsHost(app, "canvas");
      const path = make("p", { class: "finding" });
      return { host, path, children: [host, path] };
    });
  },

  draw(app) {
    app.slots.forEach((slot, k) => {
      const { host, path } = this.parts[k];
      path.textContent = app.asks ? describeSure(app.asks, slot.trace) : describePath(slot.trace);
      drawBars(host, slot, app);
    });
  },
});

/** Ten bars a step, the digits read above and what became of the answer below. */
function drawBars(host, slot, { asks, step }) {
  const { trace } = slot;
  const bottom = DIGIT_ROW + 10 * ROW;
  const { context: ink, width, canvas } = canvasIn(host, bottom + DIGIT_ROW + 14);
  const axis = timeAxis(width, trace.digits.length);
  const words = asks
    ? `${describeSure(asks, trace)} ${describeSaid(asks, trace)}`
    : `${describePath(trace)} ${describeAnswer(slot)}`;
  canvas.setAttribute("aria-label", `Ten bars after each digit, ${slot.title}. ${words}`);
  // A palindrome's one answer is framed all along: where it is known, and where it is lost.
  const frames = asks
    ? trace.targets.flatMap((target, t) =>
        target === NOT_ASKED ? [] : [[axis.left(t), target, axis.column]],
      )
    : [[GUTTER, trace.target, width - GUTTER - MARGIN]];
  const frameTop = (/** @type {number} */ digit) => DIGIT_ROW + digit * ROW;

  ink.fillStyle = colour("cursor");
  ink.fillRect(axis.left(step), 0, Math.max(axis.column, 1.5), bottom + DIGIT_ROW);
  ink.fillStyle = colour("tint");
  for (const [left, digit, wide] of frames) ink.fillRect(left, frameTop(digit), wide, ROW);
  trace.probabilities.forEach((row, t) => {
    row.forEach((probability, digit) => {
      const asked = asks ? trace.targets[t] : trace.target;
      ink.fillStyle = colour(digit === asked ? slot.letter : "faint");
      const full = Math.max(axis.column - 1.5, axis.column * 0.7);
      ink.fillRect(axis.left(t), DIGIT_ROW + digit * ROW + 1.5, probability * full, ROW - 3);
    });
  });
  ink.strokeStyle = colour("ink");
  ink.lineWidth = 1;
  for (const [left, digit, wide] of frames)
    ink.strokeRect(left - 0.5, frameTop(digit) - 0.5, wide + 1, ROW + 1);
  writeBarLabels(ink, trace, axis, step, bottom, asks);
}

/** The digits read, the ten names, and the first choice after each step. */
function writeBarLabels(ink, trace, axis, step, bottom, asks) {
  const write = (text, x, y, bold = false, align = "center") =>
    writeText(ink, text, x, y, { bold, shade: bold ? "ink" : "muted", align });
  write("read", GUTTER - 8, 17, false, "right");
  write("says", GUTTER - 8, bottom + 17, false, "right");
  for (let digit = 0; digit < 10; digit++)
    write(digit, GUTTER - 8, DIGIT_ROW + digit * ROW + 11.5, !asks && digit === trace.target, "right");
  const room = axis.column >= 8;
  trace.digits.forEach((digit, t) => {
    const isNow = t === step;
    const isLast = t === trace.digits.length - 1;
    const right = trace.predictions[t] === (asks ? trace.targets[t] : trace.target);
    if (room || isNow || t === 0) write(sayDigit(digit), axis.middle(t), 17, isNow || (!asks && t === 0));
    const isAnswer = !asks || trace.targets[t] !== NOT_ASKED;
    if (isAnswer && (room || isNow || isLast))
      write(sayDigit(trace.predictions[t]), axis.middle(t), bottom + 17, right);
    if (!right) return;
    // A bar below the answers as long as they are right: it ends where the answer is lost.
    ink.fillStyle = colour("ink");
    ink.fillRect(axis.left(t), bottom + 24, Math.max(axis.column, 1), 3);
  });
}

/** How sure it is of the right digits, and which place is least sure. @param {Asks} asks */
function describeSure(asks, trace) {
  const places = saidOfPlaces(asks, trace);
  const mean = places.reduce((sum, { sure }) => sum + sure, 0) / places.length;
  const least = places.reduce((one, other) => (other.sure < one.sure ? other : one));
  return `The right digits have ${percent(mean)} on average, the least sure is x${subscript(least.place + 1)}: ${percent(least.sure)}.`;
}

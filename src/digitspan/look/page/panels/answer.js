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
      path.textContent = describePath(slot.trace);
      drawBars(host, slot, app.step);
    });
  },
});

/** Ten bars a step, the digits read above and what became of the answer below. */
function drawBars(host, slot, step) {
  const { trace } = slot;
  const bottom = DIGIT_ROW + 10 * ROW;
  const { context: ink, width, canvas } = canvasIn(host, bottom + DIGIT_ROW + 14);
  const axis = timeAxis(width, trace.digits.length);
  const target = DIGIT_ROW + trace.target * ROW;
  canvas.setAttribute(
    "aria-label",
    `Ten bars after each digit, ${slot.title}. ${describePath(trace)} ${describeAnswer(trace)}`,
  );

  ink.fillStyle = colour("cursor");
  ink.fillRect(axis.left(step), 0, Math.max(axis.column, 1.5), bottom + DIGIT_ROW);
  ink.fillStyle = colour("tint");
  ink.fillRect(GUTTER, target, width - GUTTER - MARGIN, ROW);
  trace.probabilities.forEach((row, t) => {
    row.forEach((probability, digit) => {
      ink.fillStyle = colour(digit === trace.target ? slot.letter : "faint");
      const full = Math.max(axis.column - 1.5, axis.column * 0.7);
      ink.fillRect(axis.left(t), DIGIT_ROW + digit * ROW + 1.5, probability * full, ROW - 3);
    });
  });
  ink.strokeStyle = colour("ink");
  ink.lineWidth = 1;
  ink.strokeRect(GUTTER - 0.5, target - 0.5, width - GUTTER - MARGIN + 1, ROW + 1);
  writeBarLabels(ink, trace, axis, step, bottom);
}

/** The digits read, the ten names, and the first choice after each step. */
function writeBarLabels(ink, trace, axis, step, bottom) {
  const write = (text, x, y, bold = false, align = "center") =>
    writeText(ink, text, x, y, { bold, shade: bold ? "ink" : "muted", align });
  write("read", GUTTER - 8, 17, false, "right");
  write("says", GUTTER - 8, bottom + 17, false, "right");
  for (let digit = 0; digit < 10; digit++)
    write(digit, GUTTER - 8, DIGIT_ROW + digit * ROW + 11.5, digit === trace.target, "right");
  const room = axis.column >= 8;
  trace.digits.forEach((digit, t) => {
    const isNow = t === step;
    const isLast = t === trace.digits.length - 1;
    const right = trace.predictions[t] === trace.target;
    if (room || isNow || t === 0) write(digit, axis.middle(t), 17, isNow || t === 0);
    if (room || isNow || isLast)
      write(sayDigit(trace.predictions[t]), axis.middle(t), bottom + 17, right);
    if (!right) return;
    // A bar below the answers as long as they are right: it ends where the answer is lost.
    ink.fillStyle = colour("ink");
    ink.fillRect(axis.left(t), bottom + 24, Math.max(axis.column, 1), 3);
  });
}

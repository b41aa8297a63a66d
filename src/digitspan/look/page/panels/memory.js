// What is left of the first digit: the same digits read twice, once with another first one.

const NOTHING = 0.01;

PANELS.push({
  id: "memory",
  title: "What if the first digit were another?",
  question: "Questions 1.1 and 1.3",
  text: `Each network reads the digits twice, the second time with another first digit; drawn is
    how far apart its two states are after each step. Where the curve falls below the dashed
    line, less than a hundredth of the difference is left: the network hardly tells any more
    which of the two it began with, and what it reads next drowns the rest.`,

  build(section, app) {
    this.choice = make("select", {
      id: "other",
      onchange: () => app.change({ other: Number(this.choice.value) }),
    });
    this.from = make("span");
    const label = make("label", { for: "other" }, "Change the first digit from ", this.from, " to");
    section.append(controlLine(label, " ", this.choice));
    const caption = "distance after step t, of the distance after step 1: ";
    this.chart = buildComparison(section, app, caption, []);
  },

  draw(app) {
    const first = app.digits[0];
    if (this.from.textContent !== String(first)) {
      this.from.textContent = String(first);
      const others = [...Array(10).keys()].filter((digit) => digit !== first);
      this.choice.replaceChildren(
        ...others.map((digit) => make("option", { value: digit }, String(digit))),
      );
    }
    this.choice.value = String(app.other);

    const lines = app.slots.map((slot) => ({
      values: sharesLeft(slot),
      look: slot.letter,
      label: slot.title,
    }));
    drawComparison(this.chart, app, (slot) => describeMemory(slot, app.other), {
      lines,
      height: 190,
      reference: { value: NOTHING, label: "1 % left" },
      description: "How much of the difference of the first digit is left in the state",
    });
  },
});

/** The distance after each step, of the distance after step 1. @param {Slot} slot */
const sharesLeft = ({ distances }) => distances.map((x) => x / distances[0]);

/**
 * From which step on nothing of the first digit is left, and whether the answer goes with it.
 * @param {Slot} slot
 * @param {number} other
 */
function describeMemory(slot, other) {
  const shares = sharesLeft(slot);
  if (shares.some(Number.isNaN)) return "its states cannot be told apart by numbers";
  const lastLeft = shares.findLastIndex((share) => share >= NOTHING);
  const steps = shares.length;
  const last = shares[steps - 1];
  const left =
    lastLeft < steps - 1
      ? `from step ${lastLeft + 2} on, less than 1 % of the difference is left`
      : last > 1.5
        ? `after step ${steps}, the difference is ${scientific(last)} times as large as after step 1`
        : `after step ${steps}, ${percent(last)} of the difference is left`;
  const said = slot.changed.predictions.at(-1);
  const before = slot.trace.predictions.at(-1);
  const answer =
    said === before
      ? `asked again, it says ${said} as before: the answer does not depend on the first digit`
      : said === other
        ? `asked again, it says ${said}: the answer follows the first digit`
        : `asked again, it says ${said} in place of ${before}, and the first digit was ${other}`;
  return `${left}; ${answer}`;
}

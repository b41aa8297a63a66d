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
    this.host = stepsHost(app);
    this.finding = make("div", { class: "finding" });
    this.from = make("span");
    section.append(
      controlLine(
        make("label", { for: "other" }, "Change the first digit from ", this.from, " to"),
        " ",
        this.choice,
      ),
      make(
        "figure",
        {},
        this.host,
        make(
          "figcaption",
          {},
          "distance after step t, of the distance after step 1: ",
          legend(app.slots, []),
        ),
        this.finding,
      ),
    );
  },

  draw(app) {
    const first = app.digits[0];
    if (this.from.textContent !== String(first)) {
      this.from.textContent = String(first);
      const options = Array.from({ length: 10 }, (_, digit) => digit).filter(
        (digit) => digit !== first,
      );
      this.choice.replaceChildren(
        ...options.map((digit) => make("option", { value: digit }, String(digit))),
      );
    }
    this.choice.value = String(app.other);

    const lines = app.slots.map((slot) => ({
      values: slot.distances.map((x) => x / slot.distances[0]),
      look: slot.letter,
      label: slot.title,
    }));
    const findings = app.slots.map((slot) => describeMemory(slot, app.other));
    showFindings(this.finding, findings);
    drawChart(this.host, {
      digits: app.digits,
      step: app.step,
      lines,
      height: 190,
      log: true,
      reference: { value: NOTHING, label: "1 % left" },
      description: `How much of the difference of the first digit is left in the state, logarithmic. ${findings.join(" ")}`,
    });
  },
});

/**
 * From which step on nothing of the first digit is left, and whether the answer goes with it.
 * @param {Slot} slot
 * @param {number} other
 */
function describeMemory(slot, other) {
  const shares = slot.distances.map((x) => x / slot.distances[0]);
  if (shares.some(Number.isNaN))
    return `${slot.title}: its states cannot be told apart by numbers.`;
  const lastLeft = shares.findLastIndex((share) => share >= NOTHING);
  const steps = shares.length;
  const left =
    lastLeft < steps - 1
      ? `from step ${lastLeft + 2} on, less than 1 % of the difference is left`
      : shares[steps - 1] > 1.5
        ? `after step ${steps}, the difference is ${scientific(shares[steps - 1])} times as large as after step 1`
        : `after step ${steps}, ${percent(shares[steps - 1])} of the difference is left`;
  const said = slot.changed.predictions[steps - 1];
  const before = slot.trace.predictions[steps - 1];
  const answer =
    said === before
      ? `asked again, it says ${said} as before: the answer does not depend on the first digit`
      : said === other
        ? `asked again, it says ${said}: the answer follows the first digit`
        : `asked again, it says ${said} in place of ${before}, and the first digit was ${other}`;
  return `${slot.title}: ${left}; ${answer}.`;
}

// What is left of the first digit: the same digits read twice, once with another first one.

const NOTHING = 0.01;

PANELS.push({
  id: "memory",
  title: "What if the first digit were another?",
  question: "Questions 1.1 and 1.3",
  text: `Each network reads the digits twice, the second time with another first digit; drawn is
    how far apart its two states are after each step. Where the curve falls below the dashed
    line, less than a hundredth of the difference is left. It is all that the network can tell the
    two apart by; whether its answer still does, stands below.`,
  recall: {
    title: "What if one digit of the list were another?",
    text: `Each network reads the list twice, the second time with another digit at one place; drawn
      is how far apart its two states are after each step, from that place on. Where the curve
      falls below the dashed line, less than a hundredth of the difference is left. A list is held
      only if this comes through to the step in which the place is said.`,
  },

  build(section, app) {
    this.choice = make("select", {
      id: "other",
      onchange: () => app.change({ other: Number(this.choice.value) }),
    });
    this.from = make("span");
    this.which = make("select", {
      id: "place",
      "aria-label": "The place whose digit is changed",
      onchange: () => app.changePlace(Number(this.which.value)),
    });
    const which = app.asks ? ["Change ", this.which, " from "] : ["Change the first digit from "];
    const label = make("label", { for: "other" }, ...which, this.from, " to");
    section.append(controlLine(label, " ", this.choice));
    const caption = `distance after step t, of the distance ${app.asks ? "where it is read" : "after step 1"}: `;
    this.chart = buildComparison(section, app, caption, []);
  },

  draw(app) {
    const first = app.list[app.place];
    if (this.which.children.length !== app.list.length)
      this.which.replaceChildren(
        ...app.list.map((_, k) => make("option", { value: k }, `x${subscript(k + 1)}`)),
      );
    this.which.value = String(app.place);
    if (this.from.textContent !== String(first)) {
      this.from.textContent = String(first);
      const others = [...Array(10).keys()].filter((digit) => digit !== first);
      this.choice.replaceChildren(
        ...others.map((digit) => make("option", { value: digit }, String(digit))),
      );
    }
    this.choice.value = String(app.other);

    const lines = app.slots.map((slot) => ({
      values: sharesLeft(slot, app.place),
      look: slot.letter,
      label: slot.title,
    }));
    drawComparison(this.chart, app, (slot) => describeMemory(slot, app), {
      lines,
      height: 190,
      reference: { value: NOTHING, label: "1 % left" },
      description: `How much of the difference of ${app.asks ? "that" : "the first"} digit is left in the state`,
    });
  },
});

/** The distance after each step, of the distance where the digit is read. @param {Slot} slot */
const sharesLeft = ({ distances }, place) => distances.map((x) => x / distances[place]);

/**
 * From which step on nothing of the first digit is left, and whether the answer goes with it.
 * @param {Slot} slot
 * @param {App} app
 */
function describeMemory(slot, { asks, place, other }) {
  const shares = sharesLeft(slot, place);
  if (shares.some(Number.isNaN)) return "its states cannot be told apart by numbers";
  const lastLeft = shares.findLastIndex((share) => share >= NOTHING);
  const steps = shares.length;
  const last = shares[steps - 1];
  const left =
    lastLeft < steps - 1
      ? `from step ${lastLeft + 2} on, less than 1 % of the difference is left`
      : last > 1.5
        ? `after step ${steps}, the difference is ${scientific(last)} times as large as after step ${place + 1}`
        : `after step ${steps}, ${percent(last)} of the difference is left`;
  const step = stepOf(asks, slot.trace.targets, place);
  const said = slot.changed.predictions[step];
  const before = slot.trace.predictions[step];
  const changed = asks ? `x${subscript(place + 1)}` : "the first digit";
  const answer =
    said === before
      ? `asked again, it says ${said} as before: the answer does not depend on ${changed}`
      : said === other
        ? `asked again, it says ${said}: the answer follows ${changed}`
        : `asked again, it says ${said} in place of ${before}, and ${changed} was ${other}`;
  return `${left}; ${answer}`;
}

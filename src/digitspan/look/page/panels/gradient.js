// The gradient that reaches each step, of both networks on one logarithmic axis.

PANELS.push({
  id: "gradient",
  title: "The gradient that reaches each step",
  question: "Question 1.1",
  text: `∂L/∂W_hh is a sum over all steps, and what step t adds is multiplied by ∂L/∂h(t). The
    axis is logarithmic, so a straight line is an exponential: falling to the left, the gradient
    vanishes; rising, it explodes. Where it is a millionth, what was read there adds next to
    nothing to this step of training. That is not by itself why a length is learned or not: in
    untrained networks it can vanish alike, in those that are solved later and those that are not.`,
  recall: {
    text: `The loss is the mean over the answers of the second half, so every one of them sends its
      own gradient back, and what reaches step t is their sum. The axis is logarithmic: a straight
      line is an exponential. In the first half no answer is asked for; whatever is learned about
      the digit read at step t has come through all the steps to its right.`,
  },

  build(section, app) {
    const relative = make("input", {
      type: "checkbox",
      id: "relative",
      onchange: () => app.show({ relative: relative.checked }),
    });
    relative.checked = app.relative;
    const text = " relative to the last step: all curves begin at 1 on the right";
    section.append(controlLine(make("label", {}, relative, text)));
    const caption = "‖∂L/∂s(t)‖ for the states s: ";
    this.chart = buildComparison(section, app, caption, statesOf(app.slots));
  },

  draw(app) {
    const lines = [];
    for (const slot of app.slots) {
      for (const [name, norms] of Object.entries(slot.trace.gradientNorms)) {
        const last = norms[norms.length - 1];
        const values = app.relative && last > 0 ? norms.map((x) => x / last) : norms;
        const label = name === "hidden" ? slot.title : "";
        lines.push({ values, look: lookOf(slot, name), label });
      }
    }
    const find = (slot) => describeGradient(slot.trace.gradientNorms.hidden);
    const description = "Norm of the gradient of the loss at each step";
    drawComparison(this.chart, app, find, { lines, height: 250, description });
  },
});

/** The names of the states that some network on show has. @param {Slot[]} slots */
const statesOf = (slots) => [
  ...new Set(slots.flatMap((slot) => Object.keys(CELLS[slot.network.cell].states))),
];

// The gates over time: means, spread, the followed unit; and a gate held at 0 or 1.

PANELS.push({
  id: "gates",
  title: "The gates",
  question: "Question 1.5",
  text: `σ lies between 0 and 1: a tap. In an LSTM the forget gate f says how much of c stays, the
    input gate i how much of the candidate g comes in, the output gate o how much of c is seen in
    h; in a GRU one update gate z does for both f and i. tanh lies between −1 and 1: a value to
    write, of either sign. A cell that remembers keeps f near 1 and i near 0 for some of its units,
    between the first digit and the last. Thick: the mean over all units; the band holds eight in
    ten of them; dashed: the unit you follow. Hold a gate at 0 or 1 and look at the answer.`,
  recall: {
    text: `σ lies between 0 and 1: a tap. In an LSTM the forget gate f says how much of c stays, the
      input gate i how much of the candidate g comes in, the output gate o how much of c is seen
      in h; in a GRU one update gate z does for both f and i. A network that holds a list must
      change its gates where the silent steps begin: from writing to saying. Thick: the mean over
      all units; the band holds eight in ten of them; dashed: the unit you follow. Hold a gate at
      0 or 1 and look which places are lost.`,
  },

  build(section, app) {
    const gatesOf = (slot) => Object.entries(CELLS[slot.network.cell].gates);
    const gated = app.slots.filter((slot) => gatesOf(slot).length > 0);
    this.parts = sideBySide(section, gated, (slot) => {
      const charts = gatesOf(slot).map(([name, gate]) => buildGate(app, slot, name, gate));
      const figures = make("div", { class: "gates" }, ...charts.map(({ figure }) => figure));
      return { slot, charts, children: [figures] };
    });
    for (const slot of app.slots.filter((slot) => !gated.includes(slot))) {
      const text = `${slot.title}: it has no gates. Every step writes its whole state anew.`;
      section.append(make("p", { class: "finding" }, text));
    }
  },

  draw(app) {
    for (const { slot, charts } of this.parts) {
      for (const { name, gate, host, radios } of charts) {
        const held = slot.whatIf.clamp[name];
        radios.forEach(({ value, input }) => (input.checked = value === held));
        drawGate(host, app, slot, name, gate);
      }
    }
  },
});

/** One gate's chart with its clamp. */
function buildGate(app, slot, name, gate) {
  const host = stepsHost(app);
  const group = `clamp-${slot.letter}-${name}`;
  const radios = [
    [undefined, "free"],
    [0, "0"],
    [1, "1"],
  ].map(([value, text]) => {
    const input = make("input", {
      type: "radio",
      name: group,
      id: `${group}-${text}`,
      onchange: () => app.clamp(slot, name, value),
    });
    return { value, input, label: make("label", {}, input, ` ${text}`) };
  });
  const figure = make(
    "figure",
    {},
    make("p", { class: "equation" }, `${gate.equation}   ${gate.name}`),
    make(
      "fieldset",
      { class: "clamp" },
      make("legend", {}, `Hold ${name} at`),
      ...radios.map(({ label }) => label),
    ),
    host,
  );
  return { name, gate, host, radios, figure };
}

/** A gate over time. */
function drawGate(host, app, slot, name, gate) {
  const steps = slot.trace.gates[name];
  const sorted = steps.map((values) => Float64Array.from(values).sort());
  const share = (values, part) => values[Math.round(part * (values.length - 1))];
  const means = steps.map((values) => values.reduce((sum, x) => sum + x, 0) / values.length);
  const now = means[app.step];
  drawChart(host, app, {
    height: 92,
    range: [gate.least, 1],
    lines: [
      {
        values: means,
        look: slot.letter,
        low: sorted.map((v) => share(v, 0.1)),
        high: sorted.map((v) => share(v, 0.9)),
      },
      { values: steps.map((values) => values[slot.unit]), look: "unit thin" },
    ],
    description: `${gate.name}, mean over units after step ${app.step + 1}: ${now.toFixed(2)}; unit ${slot.unit + 1}: ${steps[app.step][slot.unit].toFixed(2)}.`,
  });
}

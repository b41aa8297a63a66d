// Hidden state and cell state as maps over time; one unit followed; its recurrence cut.

const MAP_HEIGHT = 192;

const ORDERS = {
  first: "what is left of the first digit",
  mean: "mean over time",
  number: "number",
};

PANELS.push({
  id: "states",
  title: "Inside: every unit at every step",
  question: "Questions 1.1 and 1.3",
  text: `One row a unit, one column a step. Rows that keep their shade are units that hold still:
    memory. Columns that change together follow the digit just read. Sorted by what is left of
    the first digit, the units that still tell it at the end are on top. Press on a row to follow
    that unit, and cut its recurrence to see whether the answer needs it: nothing of its state
    then reaches the next step.`,
  recall: {
    text: `One row a unit, one column a step, the list on the left and the silent steps on the
      right. Sorted by what is left at the end of the digit that is changed in the panel above.
      Press on a row to follow that unit, and cut its recurrence to see which places need it:
      nothing of its state then reaches the next step.`,
  },

  build(section, app) {
    const sort = make("select", { id: "sort", onchange: () => app.show({ sort: sort.value }) });
    for (const [name, text] of Object.entries(ORDERS))
      sort.append(
        make("option", { value: name }, app.asks ? text.replace("first", "changed") : text),
      );
    section.append(controlLine(make("label", { for: "sort" }, "Sort the units by"), " ", sort));
    this.parts = sideBySide(section, app.slots, (slot, k) => buildUnits(app, slot, k));
  },

  draw(app) {
    app.slots.forEach((slot, k) => {
      const part = this.parts[k];
      const order = sortedUnits(slot, app.sort);
      part.order = order;
      part.unit.max = String(slot.network.hiddenSize);
      if (document.activeElement !== part.unit) part.unit.value = String(slot.unit + 1);
      const isCut = slot.whatIf.cut.has(slot.unit);
      const unit = `unit ${slot.unit + 1}`;
      part.cut.textContent = isCut ? `Join ${unit} again` : `Cut ${unit}`;
      part.cut.setAttribute("aria-pressed", String(isCut));
      drawMaps(part, app, slot, order);
      drawUnit(part, app, slot);
    });
  },
});

/** The controls and hosts of one network. */
function buildUnits(app, slot, k) {
  const unit = make("input", {
    type: "number",
    id: `unit-${slot.letter}`,
    min: 1,
    step: 1,
    oninput: () => {
      const chosen = Number(unit.value);
      if (Number.isInteger(chosen) && chosen >= 1 && chosen <= slot.network.hiddenSize)
        app.follow(k, chosen - 1);
    },
    onblur: () => (unit.value = String(slot.unit + 1)),
  });
  const cut = button({ id: `cut-${slot.letter}`, onclick: () => app.toggleCut(k) });
  const reading = make("p", { class: "finding reading" });
  const maps = make("div");
  for (const _ of Object.keys(CELLS[slot.network.cell].states))
    maps.append(make("div", { class: "canvas" }, make("p", { class: "equation" })));
  const followed = stepsHost(app);
  const label = make("label", { for: unit.id }, "Follow unit");
  const children = [maps, controlLine(label, " ", unit, " ", cut), followed, reading];
  const part = { unit, cut, maps, followed, reading, order: [], children };
  pickable(maps, (x, y, width) => {
    const top = y + maps.offsetTop;
    const host = [...maps.children].find(
      ({ offsetTop, offsetHeight }) => top >= offsetTop && top < offsetTop + offsetHeight,
    );
    if (!host) return;
    const inside = top - host.querySelector("canvas").offsetTop;
    const row = Math.floor((inside / MAP_HEIGHT) * part.order.length);
    if (row >= 0 && row < part.order.length) app.follow(k, part.order[row]);
    app.pick(timeAxis(width, app.digits.length).at(x));
  });
  return part;
}

/**
 * Units from top to bottom.
 * @param {Slot} slot
 * @param {string} by one of ORDERS
 */
function sortedUnits(slot, by) {
  const units = Array.from({ length: slot.network.hiddenSize }, (_, k) => k);
  if (by === "number") return units;
  const merit = new Float64Array(units.length);
  const names = Object.keys(slot.trace.states);
  if (by === "mean") {
    for (const values of slot.trace.states[names.at(-1)])
      values.forEach((x, k) => (merit[k] += x));
  } else {
    for (const name of names) {
      const other = slot.changed.states[name].at(-1);
      slot.trace.states[name].at(-1).forEach((x, k) => (merit[k] += Math.abs(x - other[k])));
    }
  }
  return units.sort((one, two) => merit[two] - merit[one] || one - two);
}

/** A map a state, the followed unit marked at both sides. */
function drawMaps(part, app, slot, order) {
  const cell = CELLS[slot.network.cell];
  const names = Object.keys(cell.states);
  names.forEach((name, at) => {
    const host = part.maps.children[at];
    const steps = slot.trace.states[name];
    const most = usualSize(steps, name === "hidden" ? 1 : 1e-6);
    host.firstChild.replaceChildren(cell.states[name].equation, scaleLegend(most));
    const { context: ink, width, canvas } = canvasIn(host, MAP_HEIGHT + 20);
    const axis = timeAxis(width, app.digits.length);
    ink.imageSmoothingEnabled = order.length > MAP_HEIGHT * (globalThis.devicePixelRatio || 1);
    ink.drawImage(shadedMap(steps, order, most), GUTTER, 0, width - GUTTER - MARGIN, MAP_HEIGHT);
    markUnit(ink, order.indexOf(slot.unit), order.length, width, slot);
    writeMapLabels(ink, app, axis);
    canvas.setAttribute("aria-label", describeMap(cell.states[name].symbol, steps, slot));
  });
}

/**
 * A size that 19 in 20 values of a state keep within, at least `least`: a few large ones do not
 * grey the rest.
 */
function usualSize(steps, least) {
  if (steps.every((values) => values.every((x) => Math.abs(x) <= least))) return least;
  const sizes = new Float64Array(steps.length * steps[0].length);
  steps.forEach((values, t) => sizes.set(values.map(Math.abs), t * values.length));
  return Math.max(least, sizes.sort()[Math.floor(0.95 * (sizes.length - 1))]) || 1;
}

/** Marks left and right of the followed unit's row. */
function markUnit(ink, row, rows, width, slot) {
  const y = ((row + 0.5) / rows) * MAP_HEIGHT;
  ink.fillStyle = colour("ink");
  for (const [tip, base] of [
    [GUTTER - 1, GUTTER - 9],
    [width - MARGIN + 1, width - MARGIN + 9],
  ]) {
    ink.beginPath();
    ink.moveTo(tip, y);
    ink.lineTo(base, y - 5);
    ink.lineTo(base, y + 5);
    ink.fill();
  }
  const at = Math.max(10, Math.min(MAP_HEIGHT, y + 4));
  writeText(ink, slot.unit + 1, GUTTER - 12, at, { shade: "ink", align: "right" });
}

/** The digits below a map, and a frame around the step in hand. */
function writeMapLabels(ink, app, axis) {
  ink.strokeStyle = colour("ink");
  ink.lineWidth = 1.5;
  const width = Math.max(axis.column - 1.5, 1);
  ink.strokeRect(axis.left(app.step) + 0.75, 0.75, width, MAP_HEIGHT - 1.5);
  app.digits.forEach((digit, t) => {
    const isNow = t === app.step;
    if (axis.column < 8 && !isNow && t !== 0) return;
    const look = { bold: isNow, shade: isNow ? "ink" : "muted" };
    writeText(ink, sayDigit(digit), axis.middle(t), MAP_HEIGHT + 15, look);
  });
}

/** The followed unit over time, and its values in words. */
function drawUnit(part, app, slot) {
  const cell = CELLS[slot.network.cell];
  const names = Object.keys(cell.states);
  const of = (name) => slot.trace.states[name].map((values) => values[slot.unit]);
  const most = Math.max(1, ...names.flatMap((name) => of(name).map(Math.abs))) || 1;
  const values = names.map(
    (name) => `${cell.states[name].symbol} = ${of(name)[app.step].toFixed(3).replace("-", "−")}`,
  );
  const cut = slot.whatIf.cut.size
    ? ` Cut: ${[...slot.whatIf.cut].map((unit) => unit + 1).join(", ")}.`
    : "";
  part.reading.textContent = `Unit ${slot.unit + 1} after step ${app.step + 1}: ${values.join(", ")}.${cut}`;
  drawChart(part.followed, app, {
    height: 84,
    range: [-most, most],
    lines: names.map((name) => ({ values: of(name), look: lookOf(slot, name) })),
    description: `Unit ${slot.unit + 1} over time. ${part.reading.textContent}`,
  });
}

/** A map in words. */
function describeMap(symbol, steps, slot) {
  const count = steps[0].length;
  const moved = steps
    .slice(1)
    .map((values, t) => values.reduce((sum, x, k) => sum + Math.abs(x - steps[t][k]), 0) / count);
  const mean = moved.length ? moved.reduce((a, b) => a + b, 0) / moved.length : 0;
  const saturated = steps.at(-1).reduce((sum, x) => sum + (Math.abs(x) > 0.95 ? 1 : 0), 0);
  return `Map of ${symbol}(t), ${slot.title}: ${count} units over ${steps.length} steps. A unit changes by ${mean.toFixed(2)} a step on average; after the last, ${saturated} of ${count} are beyond 0.95 in size.`;
}

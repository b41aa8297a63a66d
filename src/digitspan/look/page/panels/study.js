// Accuracy by length of the study that the runs belong to; networks on the page can be loaded.

PANELS.push({
  id: "study",
  title: "Accuracy by length",
  question: "Questions 1.3 and 1.6",
  text: `Every mark is one training run of the study; lines join the medians; the dashed line is
    guessing. Press a ringed mark to look into that network, or choose it above, on the card of its
    cell. A mark without a ring is not on this page; its tooltip says which command shows it.`,
  recall: { text: "" }, // pages of lists have no such study
  needs: (app) => app.data.study !== null && !app.isLive,

  build(section, app) {
    this.host = make("div", { class: "chart" });
    section.append(make("figure", {}, this.host, make("figcaption", {}, app.data.study.caption)));
  },

  draw(app) {
    const { study } = app.data;
    const width = widthOf(this.host);
    const [top, bottom] = [12, 232];
    const lengths = [
      ...new Set(study.series.flatMap(({ runs }) => runs.map((run) => run.length))),
    ].sort((a, b) => a - b);
    const x = lengthScale(lengths, GUTTER + 20, width - MARGIN - 90);
    const y = (accuracy) => bottom - accuracy * (bottom - top);
    const picture = draw("svg", {
      viewBox: `0 0 ${width} ${bottom + 40}`,
      width,
      height: bottom + 40,
      role: "group",
      "aria-label": describeStudy(study, lengths),
    });
    for (const share of [0, 0.5, 1]) drawTick(picture, y(share), `${100 * share} %`, width);
    drawReference(picture, { value: study.chance, label: "guessing" }, { place: y }, width, true);
    const label = (length, below, text) =>
      picture.append(draw("text", { x: x(length), y: bottom + below, class: "step" }, String(text)));
    let right = -Infinity; // of the number before: those that would touch it are left out
    for (const length of lengths) {
      if (x(length) < right + 20) continue;
      label(length, 18, length);
      right = x(length);
    }
    label(lengths.at(-1), 34, "length T");
    study.series.forEach((series, k) => drawSeries(picture, series, "ab"[k % 2], x, y, app));
    drawTitles(picture, study.series, x, y);
    this.host.replaceChildren(picture);
  },
});

/** The medians as a line, the runs as marks. */
function drawSeries(picture, series, letter, x, y, app) {
  const points = series.medians.map(({ length, accuracy }) => `${x(length)},${y(accuracy)}`);
  picture.append(draw("polyline", { points: points.join(" "), class: `line ${letter}` }));
  for (const run of series.runs) {
    const mark = marks(letter, [[x(run.length), y(run.accuracy)]]);
    picture.append(mark);
    if (run.network === null) {
      const text = `${series.title}, T = ${run.length}, seed ${run.seed}: digitspan look STUDY:${run.key}`;
      mark.append(draw("title", {}, text));
      continue;
    }
    const ring = {
      cx: x(run.length),
      cy: y(run.accuracy),
      r: 10,
      class: isShown(app, run.network) ? "ring shown" : "ring",
      "data-load": run.network,
      onclick: () => app.load(run.network),
    };
    const text = `Load ${series.title}, T = ${run.length}, seed ${run.seed}`;
    picture.append(draw("circle", ring, draw("title", {}, text)));
  }
}

/** Whether a network of the page is on show. */
const isShown = (app, index) => app.slots.some((slot) => slot.network.index === index);

/** The cells' names at the right ends of their lines, moved apart where they would collide. */
function drawTitles(picture, series, x, y) {
  const ends = series.map(({ title, medians }, k) => ({
    title,
    look: "ab"[k % 2],
    ...medians.at(-1),
  }));
  ends.sort((one, other) => other.accuracy - one.accuracy);
  let taken = -Infinity;
  for (const { title, look, length, accuracy } of ends) {
    taken = Math.max(y(accuracy) + 4, taken + 16);
    picture.append(draw("text", { x: x(length) + 14, y: taken, class: `label ${look}` }, title));
  }
}

/** Lengths on a logarithmic axis; a single one in the middle. */
function lengthScale(lengths, left, right) {
  const [low, high] = [Math.log(lengths[0]), Math.log(lengths.at(-1))];
  return (length) =>
    high > low
      ? left + ((Math.log(length) - low) / (high - low)) * (right - left)
      : (left + right) / 2;
}

/** The curves in words. */
function describeStudy(study, lengths) {
  const curves = study.series.map(({ title, medians }) => {
    const values = medians.map(({ length, accuracy }) => `${percent(accuracy)} at T = ${length}`);
    return `${title}: median accuracy ${values.join(", ")}.`;
  });
  return `Accuracy by length, ${lengths.length} lengths. ${curves.join(" ")}`;
}

// Curves over training steps, with what guessing would give.

/**
 * @typedef {object} Curve
 * @property {number[][]} points [step, value]
 * @property {string} look
 * @property {string} label
 * @property {number | null} solved the step after which it was solved
 */

/**
 * Draw curves into their host.
 * @param {HTMLElement} host
 * @param {{curves: Curve[], steps: number, range: [number, number], reference: {value: number, label: string}, description: string, height: number}} chart
 */
function drawCurves(host, { curves, steps, range, reference, description, height }) {
  const width = widthOf(host);
  const top = 10;
  const bottom = top + height;
  const last = Math.max(100, steps);
  const every =
    [20, 50, 100, 200, 250, 500, 1000, 2000, 5000].find((n) => last / n <= 6) ?? 10_000;
  const most = Math.ceil(last / every) * every;
  const x = (step) => GUTTER + (step / most) * (width - GUTTER - MARGIN);
  const scale = linearScale(range, top, bottom);
  const total = bottom + 22;
  const look = { viewBox: `0 0 ${width} ${total}`, width, height: total, role: "img" };
  const picture = draw("svg", { ...look, "aria-label": description });
  for (const { value, label } of scale.ticks) drawTick(picture, scale.place(value), label, width);
  for (let step = 0; step <= most; step += every)
    picture.append(
      draw(
        "text",
        { x: x(step), y: bottom + 16, class: `step${step === most ? " end" : ""}` },
        step,
      ),
    );
  drawReference(picture, reference, scale, width);
  for (const { points, look, solved } of curves) {
    const places = points.map(([step, value]) => [x(step), scale.place(value)]);
    const path = places.map((place) => place.map((at) => at.toFixed(1)).join(",")).join(" ");
    picture.append(draw("polyline", { points: path, class: `line ${look}` }));
    if (places.length) picture.append(marks(look, [places.at(-1)]));
    if (solved !== null)
      picture.append(
        draw("line", { x1: x(solved), x2: x(solved), y1: top, y2: bottom, class: `end ${look}` }),
      );
  }
  host.replaceChildren(picture);
}

/**
 * Means over as many points as a curve can show. @param {number[]} values of the steps 1, 2, ...
 * @returns {number[][]} [step, mean]
 */
function thinned(values) {
  const each = Math.max(1, Math.ceil(values.length / 150));
  const points = [];
  for (let at = 0; at < values.length; at += each) {
    const some = values.slice(at, at + each);
    points.push([at + some.length, some.reduce((a, b) => a + b, 0) / some.length]);
  }
  return points;
}

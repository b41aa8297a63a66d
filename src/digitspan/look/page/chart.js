// Lines over the steps, on a linear or a logarithmic axis.

/**
 * @typedef {object} Line
 * @property {ArrayLike<number>} values one per step
 * @property {string} look class in style.css: colour and dashes
 * @property {string} [label] written at the line
 * @property {ArrayLike<number>} [low] lower edge of a band around it
 * @property {ArrayLike<number>} [high] upper edge of it
 *
 * @typedef {object} Chart
 * @property {Line[]} lines
 * @property {number} height of the part with the lines, in CSS pixels
 * @property {string} description for whoever cannot see it
 * @property {boolean} [log]
 * @property {[number, number]} [range] of a linear axis
 * @property {{value: number, label: string}} [reference] a level to compare with
 */

/** No axis reaches further down than this: there, a gradient is nothing. */
const LEAST_POWER = -40;

/**
 * Draw a chart of the digits read into its host, with the step in hand.
 * @param {HTMLElement} host
 * @param {App} app
 * @param {Chart} chart
 */
function drawChart(host, { digits, step }, chart) {
  const width = widthOf(host);
  const top = 10;
  const bottom = top + chart.height;
  const axis = timeAxis(width, digits.length);
  const scale = chart.log
    ? logScale(chart.lines, chart.reference, top, bottom)
    : linearScale(chart.range, top, bottom);
  const total = bottom + 37;
  const picture = draw("svg", {
    viewBox: `0 0 ${width} ${total}`,
    width,
    height: total,
    role: "img",
    "aria-label": chart.description,
  });
  for (const { value, label } of scale.ticks)
    drawTick(picture, scale.place(value), label, width);
  picture.append(
    draw("rect", {
      x: axis.left(step),
      y: top,
      width: Math.max(axis.column, 1.5),
      height: chart.height,
      class: "cursor",
    }),
  );
  if (chart.reference) drawReference(picture, chart.reference, scale, width);
  for (const line of chart.lines) drawLine(picture, line, axis, scale);
  drawNames(picture, chart.lines, axis, scale, top, bottom);
  picture.append(timeLabels(digits, axis, bottom, step));
  host.replaceChildren(picture);
}

/** @param {any} picture */
function drawLine(picture, line, axis, scale) {
  const points = Array.from(line.values, (value, t) => [axis.middle(t), scale.place(value)]);
  if (line.low) {
    const edge = (values) =>
      Array.from(values, (value, t) => `${axis.middle(t)},${scale.place(value)}`);
    const outline = [...edge(line.high), ...edge(line.low).reverse()].join(" ");
    picture.append(draw("polygon", { points: outline, class: `band ${line.look}` }));
  }
  const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  picture.append(draw("polyline", { points: path, class: `line ${line.look}` }));
  if (points.length <= 60 && !line.look.includes("thin"))
    picture.append(marks(line.look, points));
}

/**
 * Marks at some points, of a kind of its own for each network, so that they differ in grey too.
 * @param {string} look
 * @param {number[][]} points
 */
function marks(look, points) {
  const shape = look.split(" ").includes("b")
    ? "m-2.6,-2.6h5.2v5.2h-5.2z"
    : "m-2.9,0a2.9,2.9 0 1,0 5.8,0a2.9,2.9 0 1,0 -5.8,0z";
  const path = points.map(([x, y]) => `M${x.toFixed(1)},${y.toFixed(1)}${shape}`).join("");
  return draw("path", { d: path, class: `mark ${look}` });
}

/**
 * The lines' names at the end where the lines lie further apart: above the uppermost line, below
 * the others.
 */
function drawNames(picture, lines, axis, scale, top, bottom) {
  const named = lines.filter((line) => line.label);
  const spread = (/** @type {number} */ t) => {
    const heights = named.map(({ values }) => scale.place(values[t]));
    return Math.max(...heights) - Math.min(...heights);
  };
  const last = (named[0]?.values.length ?? 1) - 1;
  const atRight = spread(last) > spread(0);
  const t = atRight ? last : 0;
  const x = axis.middle(t) + (atRight ? -8 : 8);
  let taken = -Infinity;
  const places = named
    .map((line) => ({ line, y: scale.place(line.values[t]) }))
    .sort((one, other) => one.y - other.y);
  places.forEach(({ line, y }, k) => {
    const wanted = k === 0 ? y - 10 : y + 20;
    taken = Math.max(Math.min(Math.max(wanted, top + 12), bottom - 5), taken + 16);
    const look = `label ${line.look}${atRight ? " right" : ""}`;
    picture.append(draw("text", { x, y: taken, class: look }, line.label));
  });
}

/** A line across a picture at a height, its label left of it. */
function drawTick(picture, y, label, width) {
  picture.append(
    draw("line", { x1: GUTTER, x2: width - MARGIN, y1: y, y2: y, class: "grid" }),
    draw("text", { x: GUTTER - 8, y: y + 4, class: "tick" }, label),
  );
}

/** A dashed level with its name at its right end, or at its left one. */
function drawReference(picture, { value, label }, scale, width, atLeft = false) {
  const y = scale.place(value);
  const x = atLeft ? GUTTER + 4 : width - MARGIN - 4;
  const look = atLeft ? "reference-name left" : "reference-name";
  picture.append(
    draw("line", { x1: GUTTER, x2: width - MARGIN, y1: y, y2: y, class: "reference" }),
    draw("text", { x, y: y - 5, class: look }, label),
  );
}

/**
 * Powers of ten.
 * @param {Line[]} lines
 * @param {{value: number} | undefined} reference a level that must be on the axis
 */
function logScale(lines, reference, top, bottom) {
  const values = [...lines.flatMap((line) => Array.from(line.values)), reference?.value ?? 1];
  const powers = values.filter((x) => x > 0).map(Math.log10);
  const low = Math.max(LEAST_POWER, Math.floor(Math.min(...powers) - 0.4));
  const high = Math.max(low + 1, Math.ceil(Math.max(...powers) + 0.4));
  const every = Math.ceil((high - low) / 6);
  const ticks = [];
  for (let power = high; power >= low; power -= every)
    ticks.push({ value: 10 ** power, label: powerOfTen(power) });
  const place = (/** @type {number} */ x) => {
    const power = x > 0 ? Math.max(low, Math.min(high, Math.log10(x))) : low;
    return bottom - ((power - low) / (high - low)) * (bottom - top);
  };
  return { ticks, place };
}

/** @param {[number, number]} range */
function linearScale([low, high], top, bottom) {
  const ticks = [low, (low + high) / 2, high].map((value) => ({
    value,
    label: String(Number(value.toPrecision(2))).replace("-", "−"),
  }));
  const place = (/** @type {number} */ x) => {
    const inside = Number.isNaN(x) ? low : Math.max(low, Math.min(high, x));
    return bottom - ((inside - low) / (high - low)) * (bottom - top);
  };
  return { ticks, place };
}

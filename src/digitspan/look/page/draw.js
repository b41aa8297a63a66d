// Elements, colours, and the one time axis that all pictures share.

const SVG = "http://www.w3.org/2000/svg";

/** Room left and right of the steps, in CSS pixels: the same in every picture. */
const GUTTER = 46;
const MARGIN = 12;

/** The colours of cividis: lightness grows with the value, so it reads in grey too. */
const CIVIDIS = [
  "#00224e",
  "#1a386f",
  "#434e6c",
  "#61656f",
  "#7d7c78",
  "#9b9476",
  "#bcae6c",
  "#dec958",
  "#fee838",
];

/**
 * An HTML element. Text is always text: nothing that data hold becomes markup.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on...` are listeners
 * @param {...(Node | string)} children
 * @returns {any}
 */
function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** A button that submits nothing. @param {Record<string, any>} attributes */
const button = (attributes, ...children) =>
  make("button", { type: "button", ...attributes }, ...children);

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
function draw(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** @returns {any} */
function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * Where the steps lie on a picture of some width.
 * @param {number} width in CSS pixels
 * @param {number} steps
 */
function timeAxis(width, steps) {
  const column = (width - GUTTER - MARGIN) / steps;
  return {
    column,
    left: (/** @type {number} */ t) => GUTTER + t * column,
    middle: (/** @type {number} */ t) => GUTTER + (t + 0.5) * column,
    at: (/** @type {number} */ x) =>
      Math.max(0, Math.min(steps - 1, Math.floor((x - GUTTER) / column))),
    /** Every how many-th step has room for a number. */
    every: [1, 2, 5, 10, 20, 50].find((k) => k * column >= 24) ?? 100,
  };
}

/**
 * The digits below a picture, and the numbers of the steps.
 * @param {number[]} digits
 * @param {ReturnType<typeof timeAxis>} axis
 * @param {number} top
 * @param {number} step the step in hand
 */
function timeLabels(digits, axis, top, step) {
  const labels = draw("g", { class: "axis", "aria-hidden": "true" });
  const shown = digits.map((_, t) => t).filter((t) => t !== step && (axis.column >= 8 || t === 0));
  // One element for all of them: every character has its own place.
  const places = shown.map((t) => axis.middle(t).toFixed(1)).join(" ");
  const write = (x, y, look, text) =>
    labels.append(draw("text", { x, y: top + y, class: look }, String(text)));
  write(places, 16, "digit", shown.map((t) => sayDigit(digits[t])).join(""));
  write(axis.middle(step), 16, "digit now", sayDigit(digits[step]));
  for (let t = 0; t < digits.length; t = t === 0 ? axis.every - 1 || 1 : t + axis.every)
    write(axis.middle(t), 31, "step", t + 1);
  write(GUTTER - 8, 16, "name", "digit");
  write(GUTTER - 8, 31, "name", "step");
  return labels;
}

/**
 * A canvas of its host's width, sharp on every screen.
 * @param {HTMLElement} host
 * @param {number} height in CSS pixels
 * @returns {{context: CanvasRenderingContext2D, width: number, canvas: HTMLCanvasElement}}
 */
function canvasIn(host, height) {
  let canvas = /** @type {HTMLCanvasElement} */ (host.querySelector("canvas"));
  if (!canvas) {
    canvas = make("canvas", { role: "img" });
    host.append(canvas);
  }
  const width = widthOf(host);
  const density = globalThis.devicePixelRatio || 1;
  const size = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, canvas };
}

/**
 * What the browser was asked for and would lay the page out anew to say again: widths of hosts,
 * colours of style.css. `forgetLayout` when either may have changed.
 */
let widths = new WeakMap();
let colours = new Map();

function forgetLayout() {
  widths = new WeakMap();
  colours = new Map();
}

/** The width of a picture's host, in CSS pixels. @param {HTMLElement} host */
function widthOf(host) {
  if (!widths.has(host)) widths.set(host, host.clientWidth);
  return widths.get(host);
}

/** @param {string} name of a variable in style.css */
function colour(name) {
  const { documentElement: root } = document;
  if (!colours.has(name))
    colours.set(name, getComputedStyle(root).getPropertyValue(`--${name}`).trim());
  return colours.get(name);
}

/**
 * Text on a canvas, centred by default.
 * @param {CanvasRenderingContext2D} ink
 */
function writeText(ink, text, x, y, { bold = false, shade = "muted", align = "center" } = {}) {
  ink.font = `${bold ? 700 : 400} 12px ${colour("figures")}`;
  ink.fillStyle = colour(shade);
  ink.textAlign = align;
  ink.fillText(String(text), x, y);
}

/** 256 colours of cividis as [red, green, blue]. */
const SHADES = Array.from({ length: 256 }, (_, k) => {
  const place = (k / 255) * (CIVIDIS.length - 1);
  const below = Math.min(Math.floor(place), CIVIDIS.length - 2);
  const channels = (/** @type {string} */ hex) =>
    [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const [low, high] = [channels(CIVIDIS[below]), channels(CIVIDIS[below + 1])];
  return low.map((value, c) => Math.round(value + (high[c] - value) * (place - below)));
});

/** Where maps are drawn at a pixel a value, before they are stretched. */
const scratch = document.createElement("canvas");

/**
 * A map of values over units (rows) and steps (columns), one pixel each.
 * @param {Float64Array[]} steps one vector a step
 * @param {number[]} order units from top to bottom
 * @param {number} most the value that gets the last colour; minus it the first
 */
function shadedMap(steps, order, most) {
  scratch.width = steps.length;
  scratch.height = order.length;
  const context = scratch.getContext("2d");
  const image = context.createImageData(scratch.width, scratch.height);
  let at = 0;
  for (const unit of order) {
    for (const values of steps) {
      const place = Math.round(((values[unit] / most + 1) / 2) * 255) || 0; // NaN has the first colour
      const shade = SHADES[Math.max(0, Math.min(255, place))];
      image.data[at++] = shade[0];
      image.data[at++] = shade[1];
      image.data[at++] = shade[2];
      image.data[at++] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return scratch;
}

/**
 * Let a person choose a step by pressing and dragging on a picture.
 * @param {HTMLElement} host
 * @param {(x: number, y: number, width: number) => void} onPick place within the host
 */
function pickable(host, onPick) {
  const pick = (/** @type {PointerEvent} */ event) => {
    const box = host.getBoundingClientRect();
    onPick(event.clientX - box.left, event.clientY - box.top, box.width);
  };
  host.addEventListener("pointerdown", pick);
  host.addEventListener("pointermove", (event) => {
    if (event.buttons === 1) pick(event);
  });
}

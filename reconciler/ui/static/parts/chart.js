// @ts-check
// A line chart in SVG: several series over one axis, ticks, a read-out under the pointer or by keyboard, zoom by both.
import { foreign, h, replace, svg } from "../lib/dom.js";
import { cut } from "../lib/format.js";
import { axes, dot, line, vertical } from "./chart-drawing.js";
import { exact, extent, nearest, thinned } from "./scale.js";

/** @typedef {import("./scale.js").Point} Point */
/** @typedef {import("./scale.js").Range} Range */
/**
 * @typedef {{name: string, color: number, points: Point[]}} Series points ascending by x; null is a gap; color: 0 to 7
 * @typedef {{label: string, axis: import("./metric-points.js").Axis, log?: boolean, height?: number, zoomed: (range: Range | null) => void}} Options
 */

const LEFT = 62;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 26;
/** @type {Record<string, (x: number) => string>} */
const AXES = { time: (x) => new Date(x).toLocaleString("en-GB"), step: (x) => `Step ${exact(x)}`, order: (x) => `Value ${exact(x)}` };
/** Px that a pointer must be drawn to mean a zoom. */
const DRAWN = 6;

export class Chart {
  /** @type {Series[]} */
  #series = [];
  /** @type {Range | null} what is shown of the x axis; null: all */
  #range = null;
  #width = 600;
  /** @type {number | null} x of the read-out */
  #cursor = null;
  /** @type {number | null} where a zoom was begun, px */
  #begun = null;
  /** Where the pointer is, px. */
  #px = 0;
  /** @type {import("./chart-drawing.js").Vertical | null} */
  #scale = null;
  #picture = svg("svg", { class: "chart-svg", "aria-hidden": "true", focusable: "false" });
  #marks = svg("g", { class: "chart-marks" });
  #readout = h("p", { class: "chart-readout", "aria-live": "off" });

  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.height = options.height ?? 280;
    const keys = "Left and right arrows move the read-out; plus and minus zoom; shift with arrows goes along; 0 shows all.";
    this.frame = h("div", { class: "chart-frame", tabindex: "0", role: "group", "aria-roledescription": "chart", "aria-label": `${options.label}. ${keys}` }, this.#picture);
    this.element = h("figure", { class: "chart" }, this.frame, this.#readout);
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    this.frame.addEventListener("focus", () => this.#readout.setAttribute("aria-live", "polite"));
    this.frame.addEventListener("blur", () => this.#readout.setAttribute("aria-live", "off"));
    this.frame.addEventListener("pointermove", (event) => this.#pointer(event));
    this.frame.addEventListener("pointerdown", (event) => this.#down(event));
    this.frame.addEventListener("pointerup", (event) => this.#up(event));
    this.frame.addEventListener("pointercancel", () => this.#drop());
    this.frame.addEventListener("pointerleave", () => this.#begun === null && this.#point(null));
    this.frame.addEventListener("dblclick", () => this.#zoom(null));
    this.sizes = new ResizeObserver(() => this.#sized());
    this.sizes.observe(this.frame);
  }

  /** @param {Series[]} series */
  set(series) {
    this.#series = series;
    this.#draw();
  }

  /** @param {Range | null} range */
  show(range) {
    this.#range = range;
    this.#draw();
  }

  stop() {
    this.sizes.disconnect();
  }

  #sized() {
    const width = Math.max(200, Math.floor(this.frame.clientWidth));
    if (width === this.#width) return;
    this.#width = width;
    this.#draw();
  }

  /**
   * What the x axis goes over, as a range that has a width.
   * @returns {Range}
   */
  get #all() {
    const ends = this.#series.flatMap(({ points }) => (points.length ? [points[0].x, points[points.length - 1].x] : []));
    const [low, high] = extent(ends) ?? [0, 1];
    const short = Math.max(1, Math.abs(low) * 1e-12) - (high - low); // nearer to each other they are not told apart
    return low === high || short > 1 ? [low - short / 2, high + short / 2] : [low, high];
  }

  /** @returns {Range} */
  get #x() {
    return this.#range ?? this.#all;
  }

  /** @param {number} x */
  #toPx(x) {
    const [low, high] = this.#x;
    return LEFT + ((x - low) / (high - low)) * (this.#width - LEFT - RIGHT);
  }

  /** @param {number} px */
  #toX(px) {
    const [low, high] = this.#x;
    const share = (px - LEFT) / (this.#width - LEFT - RIGHT);
    return low + Math.min(1, Math.max(0, share)) * (high - low);
  }

  // --- drawing ---

  #draw() {
    const [width, height] = [this.#width, this.height];
    const shown = this.#series.map((each) => ({ ...each, points: thinned(each.points, this.#x, width - LEFT - RIGHT) }));
    const points = shown.flatMap((each) => each.points);
    const scale = (this.#scale = vertical(points, this.#x, { top: TOP, bottom: height - BOTTOM, log: Boolean(this.options.log) }));
    const box = { left: LEFT, right: width - RIGHT, bottom: height - BOTTOM };
    const toX = (/** @type {number} */ x) => this.#toPx(x);
    this.#picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#picture.setAttribute("width", String(width));
    this.#picture.setAttribute("height", String(height));
    const clip = `clip-${clips++}`;
    replace(this.#picture,
      svg("clipPath", { id: clip }, svg("rect", { x: LEFT, y: 0, width: width - LEFT - RIGHT, height: height - BOTTOM + 2 })),
      axes(box, { range: this.#x, toPx: toX, time: this.options.axis === "time" }, scale),
      svg("g", { "clip-path": `url(#${clip})` }, shown.map((each) => line(each, toX, scale))),
      this.#marks);
    this.#point(this.#cursor);
  }

  // --- read-out ---

  /** @param {number | null} x */
  #point(x) {
    this.#cursor = x;
    const parts = this.#series.map((each) => ({ each, at: x === null ? each.points.length - 1 : nearest(each.points, x) })).filter(({ at }) => at >= 0);
    const seen = x === null ? [] : parts.map(({ each, at }) => ({ each, point: each.points[at] }));
    const where = seen[0]?.point.x ?? null;
    replace(this.#marks,
      where === null ? null : svg("line", { class: "cursor", x1: this.#toPx(where), x2: this.#toPx(where), y1: TOP, y2: this.height - BOTTOM }),
      seen.map(({ each, point }) => dot(each.color, this.#toPx(point.x), point.y, this.#scale)));
    this.#choose();
    const head = where === null ? "Newest" : AXES[this.options.axis](where);
    replace(this.#readout, h("span", { class: "nowrap" }, `${head}: `), parts.flatMap(({ each, at }) => [
      h("span", { class: `key series-${each.color % 8}` }, h("span", { class: "swatch", "aria-hidden": "true" }), foreign(cut(each.name, 40)[0]), " ", h("strong", null, each.points[at].y === null ? "no number" : exact(/** @type {number} */ (each.points[at].y)))), " "]));
  }

  // --- zoom ---

  /** @param {Range | null} range */
  #zoom(range) {
    const all = this.#all;
    const whole = all[1] - all[0];
    if (range && (range[1] - range[0] >= whole * 0.999 || range[1] - range[0] < whole * 1e-6)) range = range[1] - range[0] >= whole * 0.999 ? null : this.#range;
    this.#range = range;
    this.#draw();
    this.options.zoomed(range);
  }

  /** @param {PointerEvent} event */
  #place(event) {
    return event.clientX - this.frame.getBoundingClientRect().left;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0 || event.pointerType === "touch") return;
    this.#begun = this.#px = this.#place(event);
    this.frame.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #pointer(event) {
    this.#px = this.#place(event);
    this.#point(this.#toX(this.#px));
  }

  /** Mark what a zoom that is being drawn would show. */
  #choose() {
    const px = this.#px;
    if (this.#begun === null || Math.abs(px - this.#begun) < DRAWN) return;
    const [left, right] = [Math.max(LEFT, Math.min(px, this.#begun)), Math.min(this.#width - RIGHT, Math.max(px, this.#begun))];
    this.#marks.append(svg("rect", { class: "chosen", x: left, y: TOP, width: Math.max(0, right - left), height: this.height - TOP - BOTTOM }));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const [begun, px] = [this.#begun, this.#place(event)];
    this.#drop();
    if (begun === null || Math.abs(px - begun) < DRAWN) return;
    const [a, b] = [this.#toX(begun), this.#toX(px)];
    this.#zoom([Math.min(a, b), Math.max(a, b)]);
  }

  #drop() {
    this.#begun = null;
    this.#point(this.#cursor);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [low, high] = this.#x;
    const width = high - low;
    const middle = this.#cursor ?? (low + high) / 2;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => (event.shiftKey ? this.#along(-width / 4) : this.#step(-1)),
      ArrowRight: () => (event.shiftKey ? this.#along(width / 4) : this.#step(1)),
      Home: () => this.#point(low),
      End: () => this.#point(high),
      "+": () => this.#zoom([Math.max(low, middle - width / 4), Math.min(high, middle + width / 4)]),
      "-": () => this.#zoom(this.#within(middle - width, middle + width)),
      0: () => this.#zoom(null),
      Escape: () => this.#zoom(null),
    };
    const run = keys[event.key === "=" ? "+" : event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  /** @param {1 | -1} by */
  #step(by) {
    const points = this.#series[0]?.points ?? [];
    if (points.length === 0) return;
    const at = this.#cursor === null ? (by > 0 ? nearest(points, this.#x[0]) : nearest(points, this.#x[1])) : nearest(points, this.#cursor) + by;
    const x = points[Math.min(points.length - 1, Math.max(0, at))].x;
    if (x < this.#x[0]) this.#along(x - this.#x[0]);
    if (x > this.#x[1]) this.#along(x - this.#x[1]);
    this.#point(x);
  }

  /** @param {number} by */
  #along(by) {
    const [low, high] = this.#x;
    this.#zoom(this.#within(low + by, high + by));
  }

  /**
   * A range moved into what there is.
   * @param {number} low
   * @param {number} high
   * @returns {Range}
   */
  #within(low, high) {
    const [first, last] = this.#all;
    const over = Math.max(0, first - low) - Math.max(0, high - last);
    return [Math.max(first, low + over), Math.min(last, high + over)];
  }
}

let clips = 0;

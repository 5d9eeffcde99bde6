// @ts-check
// What a chart is drawn of: the vertical scale, axes with their ticks, lines and dots.
import { svg } from "../lib/dom.js";
import { exact, extent, label, ticks, timeLabel, timeTicks } from "./scale.js";

/** @typedef {import("./scale.js").Point} Point */
/** @typedef {import("./scale.js").Range} Range */
/** @typedef {{range: Range, toPx: (y: number) => number, log: boolean}} Vertical `range`: of exponents, where it is logarithmic */

/** Points that are drawn as dots, too. */
const DOTTED = 60;
/** What is larger is drawn there: a range of such numbers must be a number itself. */
const MOST = Number.MAX_VALUE / 4;

/**
 * The vertical scale that shows all of the points between two x.
 * @param {Point[]} points
 * @param {Range} between
 * @param {{top: number, bottom: number, log: boolean}} box px
 * @returns {Vertical}
 */
export function vertical(points, [low, high], { top, bottom, log }) {
  const seen = points.filter((each) => each.x >= low && each.x <= high);
  const held = (/** @type {number} */ y) => Math.min(MOST, Math.max(-MOST, y));
  const value = (/** @type {Point} */ { y }) => (y === null || (log && y <= 0) ? null : log ? Math.log10(y) : held(y));
  const [least, most] = extent(seen.map(value)) ?? extent(points.map(value)) ?? [0, 1];
  const room = least === most ? Math.abs(least) * 0.1 || 0.5 : (most - least) * 0.06;
  /** @type {Range} */
  const range = [least - room, most + room];
  const toPx = (/** @type {number} */ y) => bottom - (((log ? Math.log10(y) : held(y)) - range[0]) / (range[1] - range[0])) * (bottom - top);
  return { range, toPx, log };
}

/**
 * Both axes with ticks and a grid.
 * @param {{left: number, right: number, bottom: number}} box px
 * @param {{range: Range, toPx: (x: number) => number, time: boolean}} across
 * @param {Vertical} up
 */
export function axes({ left, right, bottom }, across, up) {
  const places = Math.max(2, Math.floor((right - left) / (across.time ? 110 : 70)));
  const xs = across.time ? timeTicks(across.range, places) : ticks(across.range, places);
  const named = (/** @type {number} */ x) => (across.time ? timeLabel(x, apart(xs)) : label(x, apart(xs)));
  const steps = ticks(up.range, 5).filter((each) => !up.log || (10 ** each > 0 && Number.isFinite(10 ** each)));
  const ys = up.log ? steps.map((each) => 10 ** each) : steps;
  return svg("g", { class: "chart-axes" },
    ys.map((y) => svg("g", null,
      svg("line", { class: "grid", x1: left, x2: right, y1: up.toPx(y), y2: up.toPx(y) }),
      svg("text", { x: left - 8, y: up.toPx(y) + 4, "text-anchor": "end" }, up.log ? exact(y) : label(y, apart(steps))))),
    xs.map((x) => svg("g", null,
      svg("line", { class: "tick", x1: across.toPx(x), x2: across.toPx(x), y1: bottom, y2: bottom + 4 }),
      svg("text", { x: across.toPx(x), y: bottom + 18, "text-anchor": "middle" }, named(x)))),
    svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
}

/** @param {number[]} places */
function apart(places) {
  return places.length > 1 ? places[1] - places[0] : 1;
}

/**
 * @param {{color: number, points: readonly Point[]}} series
 * @param {(x: number) => number} toPx
 * @param {Vertical} up
 */
export function line({ color, points }, toPx, up) {
  let d = "";
  let pen = "M";
  const dots = [];
  for (const { x, y } of points) {
    if (!drawable(y, up)) {
      pen = "M";
      continue;
    }
    const [px, py] = [toPx(x).toFixed(1), up.toPx(y).toFixed(1)];
    d += `${pen}${px} ${py}`;
    pen = "L";
    if (points.length <= DOTTED) dots.push(svg("circle", { cx: px, cy: py, r: 2.5 }));
  }
  return svg("g", { class: `series series-${color % 8}` }, svg("path", { d }), dots);
}

/**
 * The mark on a point under the read-out.
 * @param {number} color
 * @param {number} px
 * @param {number | null} y
 * @param {Vertical | null} up
 */
export function dot(color, px, y, up) {
  return up && drawable(y, up) ? svg("circle", { class: `series-${color % 8} mark`, cx: px, cy: up.toPx(y), r: 4 }) : null;
}

/**
 * @param {number | null} y
 * @param {Vertical} up
 * @returns {y is number}
 */
function drawable(y, up) {
  return y !== null && Number.isFinite(y) && (!up.log || y > 0);
}

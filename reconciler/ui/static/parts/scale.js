// @ts-check
// Numbers of a chart: ranges, ticks at round values, times, thinning out of what has more points than pixels. Pure.

/** @typedef {{x: number, y: number | null}} Point */
/** @typedef {[number, number]} Range */

/**
 * The least and the largest; null where there is none that is finite.
 * @param {Iterable<number | null>} values
 * @returns {Range | null}
 */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const each of values) {
    if (each === null || !Number.isFinite(each)) continue;
    if (each < low) low = each;
    if (each > high) high = each;
  }
  return low <= high ? [low, high] : null;
}

/**
 * Round values within a range, about `count` of them: 1, 2 or 5 times a power of ten apart.
 * @param {Range} range
 * @param {number} count
 */
export function ticks([low, high], count) {
  const step = roundStep((high - low) / Math.max(1, count));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  /** @type {number[]} */
  const found = [];
  for (let i = first; i <= last && found.length < 50; i++) found.push(i * step);
  return found;
}

/** @param {number} least */
function roundStep(least) {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const share = least / power;
  return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 15, 30].map((each) => each * SECOND).concat([1, 2, 5, 10, 15, 30].map((each) => each * MINUTE), [1, 2, 3, 6, 12].map((each) => each * HOUR), [1, 2, 7, 14, 30, 90, 365].map((each) => each * DAY));

/**
 * Times at round places of the reader's clock, ms since the epoch.
 * @param {Range} range
 * @param {number} count
 */
export function timeTicks([low, high], count) {
  const least = (high - low) / Math.max(1, count);
  if (least < SECOND / 2) return ticks([low, high], count);
  const step = STEPS.find((each) => each >= least) ?? STEPS[STEPS.length - 1];
  const behind = (/** @type {number} */ at) => new Date(at).getTimezoneOffset() * MINUTE;
  const first = behind(low);
  /** @type {number[]} */
  const found = [];
  for (let clock = Math.ceil((low - first) / step) * step; found.length < 50; clock += step) {
    const at = clock + (step > HOUR ? behind(clock + first) : first); // summer time begins and ends at whole hours
    if (at > high) break;
    found.push(at);
  }
  return found;
}

/**
 * A number with as many digits as tell it from its neighbours `step` away.
 * @param {number} value
 * @param {number} step
 */
export function label(value, step) {
  const size = Math.max(Math.abs(value), Math.abs(step));
  if (size >= 1e6 || (size > 0 && Math.abs(step) < 1e-5)) return value === 0 ? "0" : value.toExponential(Math.min(3, digits(value, step)));
  return value.toFixed(Math.max(0, Math.min(8, -Math.floor(Math.log10(Math.abs(step) || 1) + 1e-9))));
}

/**
 * @param {number} value
 * @param {number} step
 */
function digits(value, step) {
  if (!value || !step) return 2;
  return Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(Math.abs(step)) + 1e-9));
}

/**
 * A time as short as its distance from the next allows.
 * @param {number} at ms since the epoch
 * @param {number} step ms
 */
export function timeLabel(at, step) {
  const date = new Date(at);
  if (step >= DAY) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: step < MINUTE ? "2-digit" : undefined });
  return step < SECOND ? `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}` : clock;
}

/**
 * A value for people: six digits that mean something.
 * @param {number} value
 */
export function exact(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e12 ? String(value) : String(Number(value.toPrecision(6)));
}

/**
 * The first index whose x is not below `x`.
 * @param {readonly Point[]} points ascending by x
 * @param {number} x
 */
export function indexAt(points, x) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].x < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The point that is nearest to `x`; -1: there is none.
 * @param {readonly Point[]} points
 * @param {number} x
 */
export function nearest(points, x) {
  const at = indexAt(points, x);
  if (at >= points.length) return points.length - 1;
  return at > 0 && x - points[at - 1].x <= points[at].x - x ? at - 1 : at;
}

/**
 * Points within a range and one beyond each end; of more than two for each pixel the lowest and the highest of it, so that
 * no peak is lost.
 * @param {readonly Point[]} points
 * @param {Range} range
 * @param {number} pixels
 * @returns {readonly Point[]}
 */
export function thinned(points, range, pixels) {
  const part = points.slice(Math.max(0, indexAt(points, range[0]) - 1), indexAt(points, range[1]) + 2);
  if (part.length <= 4 * pixels) return part;
  const width = part.length / pixels;
  /** @type {Point[]} */
  const kept = [];
  for (let i = 0; i < pixels; i++) {
    const bucket = part.slice(Math.floor(i * width), Math.floor((i + 1) * width));
    let [low, high] = [bucket[0], bucket[0]];
    for (const each of bucket) {
      if (each.y === null) continue;
      if (low.y === null || each.y < low.y) low = each;
      if (high.y === null || each.y > high.y) high = each;
    }
    kept.push(...(low === high ? [low] : low.x <= high.x ? [low, high] : [high, low]));
  }
  return kept;
}

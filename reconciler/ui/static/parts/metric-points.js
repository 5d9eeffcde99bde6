// @ts-check
// The points of one metric of one job: read once, then only what is new; as series of a chart, and as CSV.
import { get } from "../lib/api.js";

/** @typedef {import("../types").Point} Stored */
/** @typedef {{host: string, id: string}} Of */
/** @typedef {"step" | "time" | "order"} Axis */

/** As many as the server gives of one metric. */
const MOST = 20_000;

export class MetricPoints {
  /** @type {Stored[]} */
  points = [];
  total = 0;

  /**
   * @param {Of} of
   * @param {string} name
   * @param {AbortSignal} signal
   */
  constructor(of, name, signal) {
    this.of = of;
    this.name = name;
    this.signal = signal;
  }

  /** Read what is new; points of the newest moment are read again, since more of it may have come. */
  async read() {
    const since = this.points[this.points.length - 1]?.at;
    const names = this.name.split("/").map(encodeURIComponent).join("/");
    /** @type {import("../types").Metric} */
    const answer = await get(`/api/metrics/${encodeURIComponent(this.of.id)}/${names}`, { hostname: this.of.host, since, limit: MOST }, this.signal);
    const kept = since ? this.points.filter((each) => each.at < since) : [];
    this.points = [...kept, ...answer.points].slice(-MOST);
    this.total = answer.total;
  }

  get stepped() {
    return this.points.length > 0 && this.points.every((each) => each.step !== null);
  }

  /** Whether most points share their time with others: what is read in one look is stored at one time. */
  get crowded() {
    return this.points.length > 2 && new Set(this.points.map((each) => each.at)).size * 2 < this.points.length;
  }

  /**
   * The points over steps, over time, or one after the other; ascending. A step stored twice shows its newest value.
   * @param {Axis} axis
   * @returns {import("./scale.js").Point[]}
   */
  series(axis) {
    if (axis === "time") return this.points.map((each) => ({ x: Date.parse(each.at), y: each.value }));
    if (axis === "order") return this.points.map((each, at) => ({ x: this.total - this.points.length + at + 1, y: each.value }));
    /** @type {Map<number, number | null>} */
    const steps = new Map();
    for (const each of this.points) steps.set(/** @type {number} */ (each.step), each.value);
    return [...steps].sort((a, b) => a[0] - b[0]).map(([x, y]) => ({ x, y }));
  }
}

/** As `reconcile metrics -o csv` has them. */
const COLUMNS = ["job", "hostname", "metric", "step", "value", "at", "watcher_id"];

/**
 * @param {readonly MetricPoints[]} metrics
 * @returns {string}
 */
export function csv(metrics) {
  const rows = metrics.flatMap(({ of, name, points }) =>
    points.map((each) => [of.id, of.host, name, each.step, each.value, Date.parse(each.at) / 1000, each.watcher_id].map(cell).join(",")));
  return [COLUMNS.join(","), ...rows, ""].join("\r\n");
}

/**
 * One field. A text that a spreadsheet would run as a formula is kept from it by an apostrophe.
 * @param {string | number | null} value
 */
function cell(value) {
  if (typeof value !== "string") return value === null ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

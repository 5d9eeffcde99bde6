// @ts-check
// Numbers, times and names as people read them. Pure.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {number} value */
export function number(value) {
  return NUMBER.format(value);
}

/**
 * "1 watcher", "3 watchers".
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/**
 * Seconds as "45 s", "3 min 20 s", "2 h 5 min", "4 d 3 h".
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 1 && seconds > 0) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  /** @type {[number, string, number, string]} */
  const [large, name, small, sub] =
    whole < 3600 ? [60, "min", 1, "s"] : whole < 86_400 ? [3600, "h", 60, "min"] : [86_400, "d", 3600, "h"];
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${name}${rest ? ` ${rest} ${sub}` : ""}`;
}

/**
 * How long ago, or in how long, in one unit; "never" without a time.
 * @param {string | null | undefined} iso
 * @param {number} [now] ms since the epoch
 */
export function ago(iso, now = Date.now()) {
  if (!iso) return "never";
  const seconds = (now - Date.parse(iso)) / 1000;
  const size = Math.abs(seconds);
  const text = size < 60 ? `${Math.round(size)} s` : size < 3600 ? `${Math.round(size / 60)} min`
    : size < 86_400 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86_400)} d`;
  if (size < 1) return "now";
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/**
 * A time in full, in the reader's zone.
 * @param {string | null | undefined} iso
 */
export function moment(iso) {
  return iso ? MOMENT.format(new Date(iso)) : "";
}

/** @param {string | null | undefined} iso */
export function clock(iso) {
  return iso ? CLOCK.format(new Date(iso)) : "";
}

/** @param {number} count */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${at === 0 ? count : count.toFixed(count < 10 ? 1 : 0)} ${units[at]}`;
}

/**
 * "12345@localhost": under which a job is told from all others.
 * @param {string} jobId
 * @param {string} hostname
 */
export function jobKey(jobId, hostname) {
  return `${jobId}@${hostname}`;
}

/**
 * The page of a job.
 * @param {string} jobId
 * @param {string} hostname
 */
export function jobUrl(jobId, hostname) {
  return `/jobs/${encodeURIComponent(hostname)}/${encodeURIComponent(jobId)}`;
}

/**
 * "reconciler.action.rate_limited.v1" as "action rate limited".
 * @param {string} type
 */
export function eventName(type) {
  return type.replace(/^reconciler\./, "").replace(/\.v\d+$/, "").replaceAll(/[._]/g, " ");
}

/**
 * Cut a text that is too long to be shown whole; the second says whether it was.
 * @param {string} text
 * @param {number} most
 * @returns {[string, boolean]}
 */
export function cut(text, most) {
  if (text.length <= most) return [text, false];
  const end = /[\ud800-\udbff]/.test(text[most - 1]) ? most - 1 : most;
  return [`${text.slice(0, end)}…`, true];
}

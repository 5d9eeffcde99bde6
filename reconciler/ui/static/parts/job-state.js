// @ts-check
// The state of a job as a chip, with its scheduler's own word where that says more.
import { h } from "../lib/dom.js";

/** @type {Record<string, string>} */
const KINDS = { running: "good", completed: "info", failed: "bad", timeout: "bad", cancelled: "warn", pending: "", suspended: "warn", unknown: "" };
const ENDED = new Set(["completed", "failed", "timeout", "cancelled", "unknown"]);

/** @param {{state: string, raw_state?: string}} job */
export function jobState(job) {
  const raw = (job.raw_state ?? "").toLowerCase();
  const word = raw && raw !== job.state ? `${job.state} (${raw})` : job.state;
  return h("span", { class: `chip job-state ${KINDS[job.state] ?? ""}` }, word);
}

/** @param {{state: string}} job */
export function hasEnded(job) {
  return ENDED.has(job.state);
}

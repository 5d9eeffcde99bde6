// @ts-check
// The dialog that asks for jobs, with a search.
import { get } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { openDialog } from "../../lib/dialog.js";
import { foreign, h, icon, replace, setText } from "../../lib/dom.js";
import { rank } from "../../lib/fuzzy.js";
import { cut, jobKey, plural } from "../../lib/format.js";

/** @typedef {import("./types").FittingJob} Job */

/** Jobs that are listed at once; more are found by searching. */
const SHOWN = 100;
const ENDED = new Set(["completed", "failed", "cancelled", "timeout", "node_fail", "out_of_memory", "unknown"]);

/**
 * Jobs that are known, those that have not ended first.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Job[]>}
 */
export async function knownJobs(signal) {
  const { jobs } = await get("/api/jobs", { limit: 1000 }, signal);
  return [...jobs.filter(alive), ...jobs.filter((/** @type {Job & {ended: string | null}} */ job) => !alive(job))];
}

/** @param {{state: string, ended?: string | null}} job */
export function alive(job) {
  return !job.ended && !ENDED.has(job.state);
}

/**
 * Ask which jobs; null where that was left.
 * @param {{title: string, jobs: Job[], chosen: Job[], other?: {label: string, run: () => void}}} about
 * @returns {Promise<Job[] | null>}
 */
export function pickJobs({ title, jobs, chosen, other }) {
  return new Promise((resolve) => {
    const picked = new Map(chosen.map((job) => [keyOf(job), job]));
    /** @type {Job[] | null} */
    let answer = null;
    const count = h("span", { class: "muted small", role: "status" });
    const list = h("ul", { class: "job-list" });
    const input = h("input", { type: "search", "aria-label": "Search jobs", placeholder: "Job, name or host", autocomplete: "off", spellcheck: "false", onInput: () => later() });
    let shown = "?";
    const draw = () => {
      const found = rank(input.value, jobs, (job) => `${job.name} ${job.job_id} ${job.hostname} ${job.state}`);
      const keys = found.map(keyOf).join("\n");
      if (keys === shown) return; // a row that has the focus by now stays
      shown = keys;
      replace(list, rows(found, jobs.length > 0, picked, tell));
    };
    const later = debounce(draw, 120);
    const tell = () => {
      setText(count, picked.size ? `${plural(picked.size, "job")} chosen` : "None chosen yet");
      use.disabled = !picked.size;
    };
    const done = (/** @type {() => void} */ close) => {
      answer = [...picked.values()];
      close();
    };
    const actions = [...(other ? [{ label: other.label, run: (/** @type {() => void} */ close) => (close(), other.run()) }] : []), { label: "Use these jobs", kind: /** @type {const} */ ("primary"), run: done }];
    const dialog = openDialog({
      title, wide: true, actions, onClose: () => resolve(answer),
      body: [h("div", { class: "search" }, icon("search"), input), list, count],
    });
    const use = /** @type {HTMLButtonElement} */ (dialog.element.querySelector(".dialog-foot .primary"));
    dialog.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === input && !use.disabled) done(dialog.close);
    });
    draw();
    tell();
    input.focus();
  });
}

/**
 * @param {Job[]} found
 * @param {boolean} any whether there are jobs at all
 * @param {Map<string, Job>} picked
 * @param {() => void} tell
 */
function rows(found, any, picked, tell) {
  if (!found.length) return [h("li", { class: "muted" }, any ? "No job is called so." : "No jobs are known.")];
  const made = found.slice(0, SHOWN).map((job) => row(job, picked, tell));
  if (found.length > SHOWN) made.push(h("li", { class: "muted small" }, `${plural(found.length - SHOWN, "more job")}: search for them.`));
  return made;
}

/**
 * @param {Job} job
 * @param {Map<string, Job>} picked
 * @param {() => void} tell
 */
function row(job, picked, tell) {
  const key = keyOf(job);
  const box = h("input", {
    type: "checkbox", checked: picked.has(key), onChange: () => {
      if (box.checked) picked.set(key, slim(job));
      else picked.delete(key);
      tell();
    },
  });
  return h("li", null, h("label", { class: "job-row" }, box,
    h("span", { class: "grow cut" }, foreign(cut(job.name || "(no name)", 120)[0], "strong")),
    h("span", { class: "mono small cut" }, foreign(key)),
    h("span", { class: alive(job) ? "chip good" : "chip" }, job.state)));
}

/**
 * @param {Job} job
 * @returns {Job}
 */
export function slim({ job_id, hostname, name, state }) {
  return { job_id, hostname, name, state };
}

/** @param {Job} job */
export function keyOf(job) {
  return jobKey(job.job_id, job.hostname);
}

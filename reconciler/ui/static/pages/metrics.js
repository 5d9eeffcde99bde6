// @ts-check
// Metrics: which jobs have some, and those of one job as charts.
import { get, isAbort } from "../lib/api.js";
import { debounce } from "../lib/debounce.js";
import { foreign, h, icon, replace } from "../lib/dom.js";
import { cut, plural } from "../lib/format.js";
import { rank } from "../lib/fuzzy.js";
import { emptyState, errorState, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { jobState } from "../parts/job-state.js";
import { visible } from "../parts/visible.js";
import { showMetrics } from "./metrics-of-job.js";

/** @typedef {import("../views").MeasuredJob} MeasuredJob */

const EVERY = 15_000;
/** Jobs that are shown at once; a search finds the others. */
const SHOWN = 200;
/** Names of metrics that are shown of one job. */
const NAMED = 8;

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  const job = ctx.query.get("job");
  if (job) return showMetrics(root, ctx, job, ctx.query.get("host"));
  ctx.title("Metrics");
  /** @type {MeasuredJob[]} */
  let jobs = [];
  let shown = "";
  const list = h("div", null, loading("The metrics are being read…"));
  const typed = debounce((/** @type {string} */ text) => {
    ctx.setQuery({ q: text.trim() });
    draw(list, jobs, ctx.query.get("q") ?? "", ctx.session.scope !== "read");
  }, 150);
  const search = h("input", { type: "search", "aria-label": "Search jobs with metrics", placeholder: "Job or metric", maxlength: "200", value: ctx.query.get("q") ?? "", onInput: (/** @type {any} */ event) => typed(event.target.value) });
  root.append(h("div", { class: "page-head" }, h("h1", null, "Metrics")), h("span", { class: "search" }, icon("search"), search), list);
  const load = async () => {
    try {
      const found = await get("/api/metrics", undefined, ctx.signal);
      const text = JSON.stringify(found.jobs);
      if (text === shown) return;
      shown = text;
      jobs = found.jobs;
      draw(list, jobs, ctx.query.get("q") ?? "", ctx.session.scope !== "read");
    } catch (error) {
      if (isAbort(error)) return;
      shown = "";
      replace(list, errorState(error, () => void load()));
    }
  };
  again(ctx.signal, load, { every: EVERY, concerns: (event) => event?.action_type === "store_metric" });
  await load();
}

/**
 * @param {HTMLElement} list
 * @param {MeasuredJob[]} jobs
 * @param {string} query
 * @param {boolean} may whether the person may write
 */
function draw(list, jobs, query, may) {
  if (jobs.length === 0) {
    replace(list, emptyState({
      title: "No numbers are kept yet",
      text: ["A watcher keeps a number when its action is ", h("code", null, "store_metric"), ": a loss, a speed, a temperature. Then it is drawn here."],
      action: may ? h("a", { class: "button primary", href: "/new" }, icon("plus"), "New watcher") : null,
    }));
    return;
  }
  const found = rank(query, jobs, (job) => `${job.job_id} ${job.name} ${job.hostname} ${job.metrics.join(" ")}`);
  const rest = found.length > SHOWN ? h("p", { class: "muted small" }, `${plural(found.length - SHOWN, "more job")}; a search finds them.`) : null;
  if (found.length === 0) return replace(list, emptyState({ title: "No job fits", text: "No job with metrics has that in its id, its name or the names of its metrics." }));
  replace(list, h("ul", { class: "measured" }, found.slice(0, SHOWN).map(card)), rest);
}

/** @param {MeasuredJob} job */
function card(job) {
  const url = `/metrics?host=${encodeURIComponent(job.hostname)}&job=${encodeURIComponent(job.job_id)}`;
  const names = job.metrics.slice(0, NAMED).map((name) => h("span", { class: "chip" }, foreign(visible(cut(name, 40)[0]))));
  const rest = job.metrics.length > NAMED ? h("span", { class: "muted small" }, `and ${job.metrics.length - NAMED} more`) : null;
  return h("li", { class: "card measured-job" },
    h("div", { class: "row wrap" }, h("a", { class: "strong", href: url }, job.job_id), h("span", { class: "muted small" }, "@", foreign(job.hostname)), jobState(job)),
    h("p", { class: "job-name" }, foreign(visible(cut(job.name, 120)[0]))),
    h("p", { class: "row wrap" }, ...names, rest));
}

// @ts-check
// One job: how it stands, who watches it, what it prints.
import { get, isAbort } from "../lib/api.js";
import { foreign, h, icon, renew, replace } from "../lib/dom.js";
import { ago, cut, duration, moment, number } from "../lib/format.js";
import { emptyState, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { hasEnded, jobState } from "../parts/job-state.js";
import { OutputView } from "../parts/output.js";
import { visible } from "../parts/visible.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../views").Stream} Stream */

const EVERY = 5000;
/** Watchers of the job that are named. */
const NAMED = 50;

/**
 * @param {HTMLElement} root
 * @param {import("../types").Context} ctx
 * @param {string} host
 * @param {string} id
 */
export async function showJob(root, ctx, host, id) {
  ctx.title(`Job ${id}`);
  root.append(h("h1", { class: "visually-hidden" }, `Job ${id}`), loading("The job is being read…"));
  const url = `/api/jobs/${encodeURIComponent(id)}`;
  /** @type {Job} */
  let job = await get(url, { hostname: host }, ctx.signal);
  const head = h("div", { class: "stack" });
  const watched = h("div", { class: "row wrap job-watchers" });
  drawHead(head, job);
  /** @type {OutputView | null} */
  let view = null;
  let leaving = new AbortController();
  ctx.signal.addEventListener("abort", () => leaving.abort());
  const outputNow = () => outputs(job, ctx, () => hasEnded(job) && job.finished, (shown) => void (view = shown), leaving.signal);
  let output = outputNow();
  replace(root, h("div", { class: "page-head" }, h("h1", null, `Job ${id}`, h("span", { class: "muted" }, "@", foreign(host))), links(job, ctx.session.scope !== "read")), head, watched, output);
  const reload = async () => {
    const before = job;
    try {
      job = await get(url, { hostname: host }, ctx.signal);
      drawHead(head, job);
      if (job.stdout !== before.stdout || job.stderr !== before.stderr) {
        leaving.abort();
        leaving = new AbortController();
        const now = outputNow();
        output.replaceWith(now);
        output = now;
      }
      await drawWatchers(watched, job, ctx.signal);
    } catch (error) {
      if (isAbort(error)) return; // anything else is told by the output, which looks more often
    }
    if (hasEnded(job) && !(hasEnded(before) && before.finished === job.finished)) view?.look();
  };
  const call = again(ctx.signal, reload, { every: EVERY, concerns: (event) => event?.job_id === id && event.hostname === host });
  void call();
}

/**
 * @param {Job} job
 * @param {boolean} may whether the person may write
 */
function links(job, may) {
  const of = `host=${encodeURIComponent(job.hostname)}&job=${encodeURIComponent(job.job_id)}`;
  return h("div", { class: "row wrap right" },
    h("a", { class: "button", href: `/metrics?${of}` }, icon("chart"), "Metrics"),
    may ? h("a", { class: "button", href: `/new?${of}` }, icon("plus"), "Watch this job") : null);
}

/**
 * @param {HTMLElement} head
 * @param {Job} job
 */
function drawHead(head, job) {
  const ran = job.started ? ((job.ended ? Date.parse(job.ended) : Date.now()) - Date.parse(job.started)) / 1000 : null;
  /** @type {[string, Node | string | null][]} */
  const facts = [
    ["Name", foreign(visible(cut(job.name, 300)[0]))],
    ["User", foreign(visible(job.user))],
    ["Submitted", job.submitted ? `${moment(job.submitted)} (${ago(job.submitted)})` : null],
    [job.ended ? "Ran for" : "Running for", ran === null || ran < 0 ? null : duration(ran)],
    ["Time limit", job.time_limit === null ? null : duration(job.time_limit)],
    ["Partition", job.partition ? foreign(visible(job.partition)) : null],
    ["Account", job.account ? foreign(visible(job.account)) : null],
    ["Exit status", job.exit_code === null ? null : String(job.exit_code)],
    ["Restarts", job.restarts ? String(job.restarts) : null],
    ["Directory", job.workdir ? foreign(visible(job.workdir), "mono path") : null],
  ];
  const list = head.querySelector("dl") ?? h("dl", { class: "facts job-facts" });
  renew(list, facts.filter(([, value]) => value !== null).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  renew(head,
    h("p", { class: "row", role: "status" }, jobState(job), job.ended ? h("span", { class: "muted", title: moment(job.ended) }, `ended ${ago(job.ended)}`) : null),
    list);
}

/**
 * @param {HTMLElement} place
 * @param {Job} job
 * @param {AbortSignal} signal
 */
async function drawWatchers(place, job, signal) {
  /** @type {{watchers: import("../types").Watcher[]}} */
  const { watchers } = await get(`/api/jobs/${encodeURIComponent(job.job_id)}/watchers`, undefined, signal);
  const those = watchers.filter((each) => each.hostname === job.hostname);
  const named = those.slice(0, NAMED).map((each) => h("a", { class: "chip watcher-chip", href: `/watchers/${each.id}` },
    foreign(visible(cut(each.name, 60)[0])), h("span", { class: "muted" }, each.state)));
  const rest = those.length > NAMED ? h("span", { class: "muted small" }, `and ${number(those.length - NAMED)} more`) : null;
  renew(place, h("h2", { class: "small muted" }, those.length ? "Watched by" : "Nobody watches this job."), ...named, rest);
}

/**
 * The outputs of a job: one for each stream, or one where both are the same file.
 * @param {Job} job
 * @param {import("../types").Context} ctx
 * @param {() => boolean} ended
 * @param {(view: OutputView) => void} shown
 * @param {AbortSignal} signal
 */
function outputs(job, ctx, ended, shown, signal) {
  const same = job.stdout !== null && job.stdout === job.stderr;
  /** @type {{stream: Stream, label: string}[]} */
  const streams = [];
  if (job.stdout !== null) streams.push({ stream: "stdout", label: same ? "stdout and stderr" : "stdout" });
  if (job.stderr !== null && !same) streams.push({ stream: "stderr", label: "stderr" });
  if (streams.length === 0)
    return emptyState({ title: "Where it prints is not known", text: "The scheduler did not say which file this job writes to. An interactive job has none." });
  const place = h("div", { role: "tabpanel", id: "output-panel", "aria-labelledby": "tab-stdout" });
  /** @type {AbortController | null} */
  let leaving = null;
  const choose = (/** @type {Stream} */ stream, /** @type {boolean} */ fresh) => {
    leaving?.abort();
    const now = (leaving = new AbortController());
    signal.addEventListener("abort", () => now.abort(), { once: true });
    if (fresh) ctx.setQuery({ stream, line: null, offset: null });
    for (const tab of tabs) {
      const mine = tab.dataset["stream"] === stream;
      tab.setAttribute("aria-selected", String(mine));
      tab.tabIndex = mine ? 0 : -1;
    }
    place.setAttribute("aria-labelledby", `tab-${stream}`);
    const label = streams.find((each) => each.stream === stream)?.label ?? stream;
    const view = new OutputView({ host: job.hostname, id: job.job_id, stream, label }, ctx, ended, now.signal);
    replace(place, view.element);
    shown(view);
    void view.start();
  };
  const tabs = streams.map(({ stream, label }) => h("button", { type: "button", role: "tab", id: `tab-${stream}`, "aria-controls": "output-panel", dataset: { stream }, onClick: () => choose(stream, true) }, label));
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Streams", onKeydown: (/** @type {KeyboardEvent} */ event) => turn(event, tabs) }, tabs);
  const asked = ctx.query.get("stream");
  queueMicrotask(() => choose(streams.find((each) => each.stream === asked)?.stream ?? streams[0].stream, false));
  return h("section", { class: "stack", "aria-label": "Output" }, list, place);
}

/**
 * Arrow keys go from tab to tab.
 * @param {KeyboardEvent} event
 * @param {HTMLElement[]} tabs
 */
function turn(event, tabs) {
  const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  const at = tabs.findIndex((tab) => tab === document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
}

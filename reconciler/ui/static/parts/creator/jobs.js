// @ts-check
// Which jobs are watched: chosen ones, or all that a selector meets, counted while it is entered.
import { isAbort, post } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { toast } from "../../lib/dialog.js";
import { foreign, h, icon, replace, setText } from "../../lib/dom.js";
import { cut, number, plural } from "../../lib/format.js";
import { errorText } from "../../lib/states.js";
import { field, text, tick } from "./fields.js";
import { onSeveralHosts, put } from "./model.js";
import { keyOf, knownJobs, pickJobs } from "./picker.js";

/** @typedef {import("./types").Desk} Desk */

/** @type {[string, string, string][]} field, label, example */
const SELECTORS = [
  ["name", "Job name", "train-*"],
  ["user", "User", "ada"],
  ["partition", "Partition", "gpu"],
  ["account", "Account", "vision"],
  ["qos", "QOS", "normal"],
  ["hosts", "Host", "hpc1"],
  ["ids", "Job ids", "4711, 4712_3"],
];
const DANGEROUS = new Set(["cancel_job", "resubmit", "requeue", "signal_job", "run_command"]);

/** @param {Desk} desk */
export function jobsSection(desk) {
  const body = h("div", { class: "stack" });
  const choose = (/** @type {"jobs" | "selector"} */ target) => {
    desk.form.target = target;
    draw();
    desk.changed("jobs");
  };
  const button = (/** @type {"jobs" | "selector"} */ target, /** @type {string} */ label) =>
    h("button", { type: "button", "aria-pressed": desk.form.target === target, onClick: () => choose(target) }, label);
  const segments = h("div", { class: "segments", role: "group", "aria-label": "Which jobs" });
  let drawn = "";
  const keys = () => desk.form.jobs.map(keyOf).join("\n");
  const draw = () => {
    drawn = keys();
    replace(segments, button("jobs", "Chosen jobs"), button("selector", "All jobs that fit"));
    replace(body, desk.form.target === "jobs" ? chosen(desk, draw) : selector(desk));
  };
  draw();
  desk.onChange(() => desk.form.target === "jobs" && drawn !== keys() && draw()); // some have their watcher already
  return h("section", { class: "panel stack", "aria-labelledby": "creator-jobs" },
    h("h2", { id: "creator-jobs" }, "Which jobs"), desk.editing ? null : h("div", null, segments), body);
}

/**
 * @param {Desk} desk
 * @param {() => void} redraw
 */
function chosen(desk, redraw) {
  const { form } = desk;
  const drop = (/** @type {import("./types").FittingJob} */ job) => {
    form.jobs = form.jobs.filter((each) => each !== job);
    redraw();
    desk.changed("jobs");
  };
  const ask = async () => {
    try {
      const jobs = await pickJobs({ title: "Which jobs?", jobs: await knownJobs(desk.ctx.signal), chosen: form.jobs });
      if (!jobs) return;
      form.jobs = jobs;
      redraw();
      desk.changed("jobs");
    } catch (error) {
      if (!isAbort(error)) toast(errorText(error), "bad");
    }
  };
  return [
    h("ul", { class: "row wrap chosen-jobs", "aria-label": "Chosen jobs" }, form.jobs.map((job) => h("li", { class: "chip accent chosen-job" },
      h("span", { class: "cut" }, foreign(cut(job.name, 60)[0])), h("span", { class: "mono" }, foreign(keyOf(job))),
      h("button", { type: "button", class: "chip-close", "aria-label": `Do not watch ${keyOf(job)}`, onClick: () => drop(job) }, icon("close"))))),
    h("div", { class: "row wrap" }, h("button", { type: "button", class: "button", onClick: () => void ask() }, icon("search"), form.jobs.length ? "Choose other jobs" : "Choose jobs")),
    onSeveralHosts(form) ? h("p", { class: "muted small" }, "They are on several hosts, so each gets a file of its own.")
    : form.jobs.length > 1 ? tick({ label: "A file of its own for each job", path: "apart", hint: "Each is then edited and deleted by itself; otherwise one file is for all of them." }, form.apart, (value) => {
      form.apart = value;
      desk.changed("jobs");
    }) : null,
  ];
}

/** @param {Desk} desk */
function selector(desk) {
  const { spec } = desk.form;
  spec.jobs ??= {};
  const inputs = SELECTORS.map(([name, label, example]) => {
    const given = spec.jobs[name];
    const input = text(Array.isArray(given) ? given.join(", ") : given ?? "", (value) => {
      const words = value.split(",").map((word) => word.trim()).filter(Boolean);
      put(spec.jobs, name, words);
      desk.changed("jobs");
      later();
    }, { placeholder: example });
    return field({ label, path: `jobs.${name}` }, input);
  });
  const count = h("p", { class: "selector-count", role: "status" }, "Counting jobs…");
  const names = h("p", { class: "muted small selector-names" });
  let asking = new AbortController();
  const later = debounce(() => {
    asking.abort();
    asking = new AbortController();
    void tell(desk, count, names, asking.signal);
  }, 250);
  later();
  later.now();
  desk.onChange(() => count.isConnected && later());
  return [h("p", { class: "muted small" }, "Globs like train-*, several divided by commas; all that are given must fit. Jobs that come later are watched, too."),
    h("div", { class: "fields" }, inputs), count, names];
}

/**
 * @param {Desk} desk
 * @param {HTMLElement} count
 * @param {HTMLElement} names
 * @param {AbortSignal} signal
 */
async function tell(desk, count, names, signal) {
  try {
    /** @type {import("./types").SelectorTested} */
    const found = await post("/api/selectors/test", { jobs: desk.form.spec.jobs ?? {} }, signal);
    const everything = !Object.keys(desk.form.spec.jobs ?? {}).length;
    const risky = desk.form.spec.actions.some((/** @type {any} */ action) => DANGEROUS.has(action.type)) && found.count > desk.words.max_new_bindings;
    const ended = found.ended ? `, and ${plural(found.ended, "job")} that ended` : "";
    setText(count, everything ? `Every job: ${number(found.count)} now.` : `Meets ${plural(found.count, "job")} of ${number(found.known)} now${ended}.`);
    if (risky) count.append(` More than ${number(desk.words.max_new_bindings)} at once: it waits for approval.`);
    count.className = everything || risky ? "selector-count strong" : "selector-count";
    replace(names, found.jobs.slice(0, 6).flatMap((job, at) => [at ? ", " : "", foreign(`${cut(job.name, 40)[0]} (${keyOf(job)})`)]), found.count > 6 ? ", …" : "");
  } catch (error) {
    if (isAbort(error)) return;
    setText(count, errorText(error));
    replace(names);
  }
}

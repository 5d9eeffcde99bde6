// @ts-check
// A new watcher: for one job that is running at once, else for jobs that a dialog asks for; from a template, or from another watcher.
import { ApiError, get, isAbort } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { errorState, loading } from "../lib/states.js";
import { Creator } from "../parts/creator/creator.js";
import { Keep } from "../parts/creator/keep.js";
import { emptyForm, formOf } from "../parts/creator/model.js";
import { alive, knownJobs, pickJobs, slim } from "../parts/creator/picker.js";

/** @typedef {import("../types").Context} Context */
/** @typedef {import("../parts/creator/types").Form} Form */

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  ctx.title("New watcher");
  const place = h("div", null, loading("Looking for jobs…"));
  const notice = h("div");
  root.append(h("div", { class: "page-head" }, h("h1", null, "New watcher"),
    h("p", { class: "lead" }, "When a line like this appears in the output of a job like that, do this.")), notice, place);
  const keep = new Keep(location.pathname + location.search, ctx);
  try {
    const words = await get("/api/vocabulary", undefined, ctx.signal);
    const kept = keep.restore();
    const form = kept ?? (await begin(ctx));
    if (ctx.signal.aborted) return;
    const creator = new Creator({ form, words, ctx, editing: null, keep });
    if (kept) replace(notice, restored(keep, ctx));
    replace(place, creator.element);
    const first = creator.element.querySelector("textarea");
    if (first && !kept) first.focus({ preventScroll: true });
  } catch (error) {
    if (!isAbort(error)) replace(place, errorState(error, () => ctx.navigate(location.pathname + location.search, { replace: true })));
  }
}

/**
 * @param {Keep} keep
 * @param {Context} ctx
 */
export function restored(keep, ctx) {
  const again = () => {
    keep.done();
    ctx.navigate(location.pathname + location.search, { replace: true });
  };
  return h("p", { class: "notice", role: "status" }, icon("refresh"), h("span", { class: "grow" }, "This is what you had entered and not saved."),
    h("button", { type: "button", class: "button small", onClick: again }, "Start afresh"));
}

/**
 * The form to begin with.
 * @param {Context} ctx
 * @returns {Promise<Form>}
 */
async function begin(ctx) {
  const form = await source(ctx);
  const named = await namedJobs(ctx);
  if (named.length) return { ...form, target: "jobs", jobs: named.map(slim) };
  if (form.spec.jobs && Object.keys(form.spec.jobs).length) return { ...form, target: "selector" };
  const jobs = await knownJobs(ctx.signal);
  const running = jobs.filter(alive);
  const copied = original(ctx) !== null;
  if (running.length === 1 && !copied) return { ...form, target: "jobs", jobs: [slim(running[0])] };
  if (running.length === 0) return { ...form, target: "selector", spec: { ...form.spec, jobs: {} } };
  let bySelector = false;
  const title = copied ? "Copy it to which jobs?" : "Watch which jobs?";
  const picked = await pickJobs({ title, jobs, chosen: [], other: { label: "All jobs that fit", run: () => void (bySelector = true) } });
  if (bySelector) return { ...form, target: "selector" };
  return { ...form, target: "jobs", jobs: picked ?? [], apart: copied };
}

/**
 * The jobs that the address names, as far as they are known.
 * @param {Context} ctx
 * @returns {Promise<import("../parts/creator/types").FittingJob[]>}
 */
async function namedJobs(ctx) {
  const hostname = ctx.query.get("host");
  const found = ctx.query.getAll("job").map((id) => get(`/api/jobs/${encodeURIComponent(id)}`, { hostname }, ctx.signal).catch((error) => {
    if (error instanceof ApiError && error.status < 500) return null;
    throw error;
  }));
  return (await Promise.all(found)).filter(Boolean);
}

/**
 * Where it begins: empty, from a template, or from a watcher that is copied to other jobs.
 * @param {Context} ctx
 * @returns {Promise<Form>}
 */
async function source(ctx) {
  const template = ctx.query.get("template");
  const from = original(ctx);
  if (template) {
    const found = await get(`/api/templates/${encodeURIComponent(template)}`, undefined, ctx.signal);
    return formOf({ actions: [], ...found.spec });
  }
  if (!from) return emptyForm();
  const watcher = await get(`/api/watchers/${encodeURIComponent(from)}`, { stopped: true }, ctx.signal);
  const form = formOf(watcher.spec, watcher.name);
  const bound = form.spec.jobs?.ids?.length > 0;
  if (bound) delete form.spec.jobs;
  delete form.spec.renamed_from;
  delete form.spec.suspend;
  if (!bound) form.spec.name = `${watcher.name} (copy)`.slice(0, 200);
  return form;
}

/**
 * The watcher that is copied; null: none is.
 * @param {Context} ctx
 */
function original(ctx) {
  return ctx.query.get("copy") ?? ctx.query.get("from");
}

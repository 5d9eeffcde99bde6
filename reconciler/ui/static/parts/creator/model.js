// @ts-check
// What a person enters, and the requests it stands for. Pure: no element, no request.
import { QUICK } from "./quick.js";

/** @typedef {import("./types").Form} Form */
/** @typedef {import("./types").Kind} Kind */
/** @typedef {import("./types").FittingJob} Job */

/** Fields that make a watcher look at output. */
const KINDS = ["pattern", "patterns", "preset"];
const LONGEST_NAME = 60;

/** @returns {Form} */
export function emptyForm() {
  const spec = { name: "", pattern: "", actions: [{ type: "log_event", params: { message: "$0" } }] };
  return { spec, target: "jobs", jobs: [], apart: false, named: false, text: null };
}

/**
 * The form of a watcher that is there, or of a template.
 * @param {Record<string, any>} spec
 * @param {string} [name]
 * @returns {Form}
 */
export function formOf(spec, name) {
  const copy = structuredClone(spec);
  if (name !== undefined) copy.name = name;
  return { spec: copy, target: "selector", jobs: [], apart: false, named: true, text: null };
}

/**
 * @param {Form} form
 * @returns {Kind}
 */
export function kindOf({ spec }) {
  if (spec.patterns) return "all" in spec.patterns ? "all" : "any";
  if ("preset" in spec) return "preset";
  return "pattern" in spec ? "pattern" : "none";
}

/**
 * Let the watcher look for something else; patterns are taken along where they can be.
 * @param {Form} form
 * @param {Kind} kind
 */
export function setKind(form, kind) {
  const texts = expressions(form);
  for (const field of KINDS) delete form.spec[field];
  if (kind === "pattern") form.spec.pattern = texts[0] ?? "";
  if (kind === "preset") form.spec.preset = "oom";
  if (kind === "any" || kind === "all") form.spec.patterns = { [kind]: texts.length ? texts : [""] };
}

/**
 * The patterns as texts; none where a pack is chosen.
 * @param {Form} form
 * @returns {string[]}
 */
export function expressions({ spec }) {
  if (spec.patterns) return [...(spec.patterns.any ?? spec.patterns.all)];
  return spec.pattern ? [spec.pattern] : [];
}

/**
 * Set a field, or take it out where it says nothing.
 * @param {Record<string, any>} owner
 * @param {string} field
 * @param {any} value
 */
export function put(owner, field, value) {
  const empty = value === "" || value === null || value === undefined || value === false || (Array.isArray(value) && value.length === 0);
  if (empty) delete owner[field];
  else owner[field] = value;
}

/**
 * A name for a watcher with this pattern: its words.
 * @param {string} pattern
 */
export function nameOf(pattern) {
  const plain = pattern
    .replace(/\(\?[aiLmsux-]*[:)]|\(\?P?<\w+>|\(\?[=!<#][^)]*\)?/g, "(")
    .replace(/\[(?:\\.|[^\]])*\](?:[*+?]|\{[^}]*\})?/g, " ")
    .replace(/\\[bBAZ]/g, "")
    .replace(/\\[dDsSwW](?:[*+?]|\{[^}]*\})?/g, " ")
    .replace(/\\([^\w\s])/g, "$1");
  const first = plain.split("|").map((part) => part.replace(/[^\p{L}\p{N}_ -]+/gu, " ")).map((part) => part.split(/\s+/).filter((word) => word.length > 1).join(" "));
  const words = first.find((part) => /\p{L}{2}/u.test(part)) ?? "";
  const short = words.length <= LONGEST_NAME ? words : words.slice(0, LONGEST_NAME).replace(/\s+\S*$/, "");
  const name = short.replace(/^[\s-]+|[\s-]+$/g, "");
  return name && name[0].toUpperCase() + name.slice(1);
}

/**
 * The name that the form would give by itself.
 * @param {Form} form
 */
export function suggestedName(form) {
  const { spec } = form;
  const ready = QUICK.find(({ values }) => values.pattern === spec.pattern);
  const made = ready?.name ?? nameOf(expressions(form).find((text) => nameOf(text)) ?? "");
  if (made) return made;
  if (spec.preset) return `${spec.preset[0].toUpperCase()}${spec.preset.slice(1).replaceAll("_", " ")}`;
  if (spec.silence) return "Silence";
  if (spec.time_left) return "Time limit is near";
  if (spec.trigger_on_job_end) return "Job ended";
  return expressions(form).some(Boolean) ? "Watcher" : "";
}

/**
 * Whether it is said which jobs are meant.
 * @param {Form} form
 */
export function hasJobs(form) {
  return form.text !== null || form.target === "selector" || form.jobs.length > 0;
}

/**
 * Whether the chosen jobs are on several hosts: ids of one host mean other jobs on another, so no one file is for all.
 * @param {Form} form
 */
export function onSeveralHosts({ jobs }) {
  return new Set(jobs.map((job) => job.hostname)).size > 1;
}

/**
 * The bodies of the requests that save the form as new watchers.
 * @param {Form} form
 * @returns {Record<string, any>[]}
 */
export function bodies(form) {
  if (form.text !== null) return [{ yaml: form.text }];
  const { jobs: selector, name, description, actions, ...rest } = form.spec;
  const spec = { ...rest, actions };
  const head = { name: name || suggestedName(form), ...(description ? { description } : {}) };
  if (form.target === "selector") return [{ ...head, ...(selector && Object.keys(selector).length ? { jobs: selector } : {}), ...spec }];
  if (form.apart || form.jobs.length === 1 || onSeveralHosts(form)) {
    return form.jobs.map((job) => ({ ...head, ...spec, job_id: job.job_id, hostname: job.hostname }));
  }
  const ids = form.jobs.map((job) => job.job_id);
  return [{ ...head, jobs: { ids, hosts: [form.jobs[0].hostname] }, ...spec }];
}

/**
 * The body of the request that edits a watcher: what differs from what it was; null takes a field out.
 * @param {Form} form
 * @param {Record<string, any>} before
 */
export function changes(form, before) {
  if (form.text !== null) return { yaml: form.text };
  /** @type {Record<string, any>} */
  const body = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(form.spec)])) {
    if (!same(before[field], form.spec[field])) body[field] = form.spec[field] ?? null;
  }
  return body;
}

/**
 * @param {any} a
 * @param {any} b
 * @returns {boolean}
 */
export function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

/**
 * Move or remove an action, and let the others still mean the ones they meant.
 * @param {any[]} actions
 * @param {number} from
 * @param {number | null} to null: away
 */
export function moveAction(actions, from, to) {
  const order = actions.map((_, at) => at);
  order.splice(from, 1);
  if (to !== null) order.splice(to, 0, from);
  const moved = order.map((at) => actions[at]);
  for (const [at, action] of moved.entries()) {
    for (const field of ["needs", "on_failure"]) {
      const meant = (action[field] ?? []).map((/** @type {number} */ old) => order.indexOf(old));
      put(action, field, meant.filter((/** @type {number} */ index) => index >= 0 && index < at));
    }
  }
  return moved;
}

/**
 * Names that the texts of actions may use: those of the match, then those of the job.
 * @param {string[]} captures names given to groups
 * @param {(string | null)[]} groups names of groups in the pattern
 * @returns {{text: string, meaning: string}[]}
 */
export function placeholders(captures, groups) {
  const names = groups.map((name, at) => name ?? captures[at] ?? "");
  const found = [{ text: "$0", meaning: "the whole match" }];
  for (const [at, name] of names.entries()) {
    found.push(name ? { text: `$${name}`, meaning: `group ${at + 1}` } : { text: `$${at + 1}`, meaning: `group ${at + 1}` });
  }
  return found;
}

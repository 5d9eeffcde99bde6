// @ts-check
// Everything about one watcher, below its card and on its own page.
import { get, isAbort } from "../../lib/api.js";
import { toast } from "../../lib/dialog.js";
import { foreign, h, icon, renew, replace } from "../../lib/dom.js";
import { ago, clock, duration, jobUrl, moment, number } from "../../lib/format.js";
import { errorText } from "../../lib/states.js";
import { remove } from "./acting.js";
import { longText } from "./longtext.js";
import { heldBy, originText } from "./words.js";

/** @typedef {import("../../types").Watcher} Watcher */
/** @typedef {import("../../types").WatcherEvent} WatcherEvent */
/** @typedef {{writes: boolean, signal: AbortSignal, fired: boolean, gone?: () => void}} Surroundings */

/**
 * Draw it; what it did last is asked for anew where it `fired`.
 * @param {HTMLElement} root
 * @param {Watcher} watcher
 * @param {Surroundings} around
 */
export function details(root, watcher, around) {
  const last = /** @type {HTMLElement} */ (root.querySelector(".w-last") ?? h("section", { class: "w-last" }));
  renew(root,
    watcher.description ? h("p", null, longText(watcher.description)) : null,
    watcher.last_error ? h("p", { class: "notice bad" }, icon("warning"), h("span", null, h("strong", null, "Last error: "), longText(watcher.last_error))) : null,
    facts(watcher),
    actions(watcher),
    last,
    variables(watcher),
    foot(watcher, around));
  if (around.fired) void lastTrigger(last, watcher, around.signal);
}

/** @param {Watcher} watcher */
function facts(watcher) {
  const held = heldBy(watcher);
  const until = watcher.holds.map((hold) => hold.until).find(Boolean);
  const timer = watcher.timer_mode_active ? `on, every ${duration(watcher.timer_interval_seconds)}` : `after it fires, every ${duration(watcher.timer_interval_seconds)}`;
  /** @type {[string, Node | string | null | false][]} */
  const rows = [
    ["Held", held && foreign(held + (until ? `, until ${moment(until)}` : ""))],
    ["Pattern", watcher.pattern ? longText(watcher.pattern, "mono") : null],
    ["Reads", watcher.output_type],
    ["Captures", watcher.captures.length > 0 && foreign(watcher.captures.join(", "), "mono")],
    ["Condition", watcher.condition ? longText(watcher.condition, "mono") : null],
    ["Timer", watcher.timer_mode_enabled && timer],
    ["Labels", labels(watcher)],
  ];
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

/** @param {Watcher} watcher */
function labels(watcher) {
  const pairs = Object.entries(watcher.labels);
  return pairs.length > 0 && h("span", { class: "row wrap" }, pairs.map(([key, value]) => h("span", { class: "chip" }, foreign(`${key}=${value}`))));
}

/** @param {Watcher} watcher */
function actions(watcher) {
  const items = watcher.actions.map((action) => {
    const { type, params = {}, ...rest } = action;
    const rows = [...Object.entries(params), ...Object.entries(rest)];
    return h("li", null, foreign(type, "strong"),
      rows.length ? h("dl", { class: "facts params" }, rows.flatMap(([name, value]) => [h("dt", null, foreign(name)), h("dd", null, longText(valueText(value), "mono"))])) : null);
  });
  return h("section", null, h("h4", null, items.length === 1 ? "Action" : "Actions"), h("ol", { class: "action-list" }, items));
}

/** @param {any} value */
function valueText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {Watcher} watcher */
function variables(watcher) {
  const names = Object.keys(watcher.variables).filter((name) => !/^\d+$/.test(name));
  if (names.length === 0) return null;
  return h("section", null, h("h4", null, "Captured values now"), values(Object.fromEntries(names.map((name) => [name, watcher.variables[name]]))));
}

/** @param {Record<string, string | null>} found */
export function values(found) {
  const rows = Object.entries(found).flatMap(([name, value]) => [h("dt", null, foreign(name, "mono")), h("dd", null, value === null ? h("span", { class: "muted" }, "not in the match") : longText(value, "mono"))]);
  return h("dl", { class: "facts params" }, rows);
}

/**
 * The newest trigger: when, on what, with which values, and what its actions came to.
 * @param {HTMLElement} root
 * @param {Watcher} watcher
 * @param {AbortSignal} signal
 */
async function lastTrigger(root, watcher, signal) {
  if (!watcher.last_trigger) return replace(root, h("h4", null, "Last trigger"), h("p", { class: "muted" }, "It has not fired yet."));
  if (!root.hasChildNodes()) replace(root, h("h4", null, "Last trigger"), h("p", { class: "muted" }, ago(watcher.last_trigger)));
  try {
    const found = await get("/api/watchers/events", { watcher_id: watcher.id, all: true, limit: 50 }, signal);
    /** @type {WatcherEvent[]} */
    const events = found.events;
    const at = events.findIndex((event) => event.type.startsWith("reconciler.watcher.triggered"));
    if (at < 0) return;
    const fired = events[at];
    const outcomes = events.slice(0, at).filter((event) => event.type.startsWith("reconciler.action.")).reverse();
    replace(root, h("h4", null, "Last trigger"), trigger(fired, watcher), ...outcomes.map(outcome));
  } catch (error) {
    if (!isAbort(error)) replace(root, h("h4", null, "Last trigger"), h("p", { class: "muted" }, errorText(error)));
  }
}

/**
 * @param {WatcherEvent} event
 * @param {Watcher} watcher
 */
function trigger(event, watcher) {
  const { line, offset, stream } = event.data; // the line is counted from where reading began, the byte is exact
  const query = new URLSearchParams({ stream: String(stream ?? "stdout"), ...(line ? { offset: String(offset) } : {}) });
  const place = line ? h("a", { href: `${jobUrl(watcher.job_id, watcher.hostname)}?${query}` }, `line ${number(line)} of ${stream}`) : null;
  return h("div", { class: "stack" },
    h("p", null, h("time", { datetime: event.timestamp, title: moment(event.timestamp) }, ago(event.timestamp)), place ? [", ", place] : null),
    event.matched_text === null ? null : h("p", { class: "code-block match" }, longText(event.matched_text, "mono")),
    Object.keys(event.captured_vars).length ? values(event.captured_vars) : null);
}

/** @param {WatcherEvent} event */
export function outcome(event) {
  const word = event.type.replace(/^reconciler\.action\./, "").replace(/\.v\d+$/, "").replaceAll("_", " ");
  const colour = word === "succeeded" ? "good" : word === "failed" || word === "refused" || word === "interrupted" ? "bad" : "warn";
  return h("p", { class: "outcome" }, h("span", { class: `chip ${colour}` }, word), " ", foreign(event.action_type, "strong"), " ", longText(event.action_result),
    h("span", { class: "visually-hidden" }, ` at ${clock(event.timestamp)}`));
}

/**
 * @param {Watcher} watcher
 * @param {Surroundings} around
 */
function foot(watcher, around) {
  const query = new URLSearchParams({ host: watcher.hostname, job: watcher.job_id });
  const stores = watcher.actions.some((action) => action.type === "store_metric");
  const leave = async () => (await remove(watcher)) && around.gone?.();
  return h("section", { class: "stack" },
    h("dl", { class: "facts" },
      h("dt", null, "Comes from"),
      h("dd", null, foreign(originText(watcher), "mono"), " ", copyButton(originText(watcher)), watcher.writable ? null : h("span", { class: "muted small" }, ` (${watcher.source}: edit it there)`)),
      h("dt", null, "Since"), h("dd", null, moment(watcher.created_at))),
    h("div", { class: "row wrap" },
      h("a", { class: "button small", href: `/events?watcher_id=${watcher.id}` }, "View events"),
      h("a", { class: "button small", href: jobUrl(watcher.job_id, watcher.hostname) }, "View output"),
      stores ? h("a", { class: "button small", href: `/metrics?${query}` }, "View metrics") : null,
      around.writes ? h("button", { type: "button", class: "button small danger", onClick: leave }, icon("trash"), "Delete") : null));
}

/** @param {string} text */
function copyButton(text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied", "good");
    } catch {
      toast("The browser does not let this page copy; select the text instead", "bad");
    }
  };
  return h("button", { type: "button", class: "button ghost small icon-only", "aria-label": "Copy where it comes from", title: "Copy", onClick: copy }, icon("copy"));
}

// @ts-check
// One event as a row: when, what came of it, on which watcher and job, with the match and what was captured.
import { foreign, h } from "../../lib/dom.js";
import { clock, cut, eventName, jobUrl, moment } from "../../lib/format.js";
import { longText } from "./longtext.js";

/** @typedef {import("../../types").WatcherEvent} WatcherEvent */

const GOOD = ["succeeded", "resumed", "reachable", "applied", "created"];
const BAD = ["failed", "refused", "interrupted", "disabled", "rejected", "unreachable"];

/**
 * @param {WatcherEvent} event
 * @param {boolean} named whether the watcher is named
 */
export function eventRow(event, named) {
  const name = eventName(event.type);
  const last = name.split(" ").at(-1) ?? "";
  const colour = BAD.includes(last) ? "bad" : GOOD.includes(last) ? "good" : name === "watcher triggered" ? "accent" : "";
  const { line, offset, stream } = event.data; // the line is counted from where reading began, the byte is exact
  const query = new URLSearchParams({ stream: String(stream ?? "stdout"), ...(line ? { offset: String(offset) } : {}) });
  return h("article", { class: "event" },
    h("time", { class: "e-time muted", datetime: event.timestamp, title: moment(event.timestamp) }, clock(event.timestamp)),
    h("span", { class: `chip ${colour} e-kind` }, name.replace(/^(action|watcher) /, "")),
    h("div", { class: "e-text" },
      h("p", null,
        event.action_type ? [foreign(event.action_type, "strong"), " "] : null,
        longText([event.action_result, event.action_type ? "" : told(event)].filter(Boolean).join(", "), undefined, 300)),
      event.matched_text === null ? null : h("p", { class: "e-match" }, longText(event.matched_text, "mono", 200), captured(event)),
      h("p", { class: "small muted" },
        named && event.watcher_id !== null ? h("a", { href: `/watchers/${event.watcher_id}` }, foreign(cut(event.watcher_name, 80)[0])) : named && !event.job_id ? foreign(cut(event.subject, 120)[0]) : null,
        event.job_id ? [named && event.watcher_id !== null ? " · " : null, h("a", { href: `${jobUrl(event.job_id, event.hostname)}${line ? `?${query}` : ""}` }, foreign(`job ${event.job_id}`)), " on ", foreign(event.hostname), line ? `, line ${line}` : null] : null)));
}

/** @param {WatcherEvent} event */
function captured(event) {
  const pairs = Object.entries(event.captured_vars).filter(([name]) => !/^\d+$/.test(name)).slice(0, 6);
  return pairs.length ? h("span", { class: "e-captured" }, pairs.map(([name, value]) => h("span", { class: "chip" }, foreign(cut(`${name} = ${value ?? "–"}`, 80)[0])))) : null;
}

/**
 * What an event without a result says of itself.
 * @param {WatcherEvent} event
 */
function told(event) {
  if (event.type.startsWith("reconciler.watcher.triggered")) return event.data["trigger"] === "match" ? "a match" : `by ${event.data["trigger"] ?? "a request"}`;
  if (typeof event.data["by"] === "string") return `by ${event.data["by"]}`;
  const said = event.data["reason"] ?? event.data["error"] ?? event.data["message"];
  return typeof said === "string" ? said : "";
}

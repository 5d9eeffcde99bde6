// @ts-check
// Pending changes as the command shows them: a symbol, what, why, from which line; one group for each spec and kind.
import { foreign, h } from "../lib/dom.js";
import { cut, number, plural } from "../lib/format.js";
import { jobLink, place } from "./places.js";
import { visible } from "./visible.js";

/** @typedef {import("../views").PlanChange} PlanChange */

/** @type {Record<string, string>} */
export const SYMBOLS = { create: "+", update: "~", replace: "~", stop: "−", resume: "+", suspend: "~" };
/** @type {Record<string, string>} */
const KINDS = { create: "good", resume: "good", stop: "bad", update: "info", replace: "info", suspend: "warn" };
/** Jobs of a group that are named at once. */
const JOBS = 20;
/** Groups that are shown at once. */
const GROUPS = 200;

/**
 * @param {PlanChange[]} changes
 * @returns {Node[]}
 */
export function changeGroups(changes) {
  /** @type {Map<string, PlanChange[]>} */
  const groups = new Map();
  for (const each of changes) {
    const key = JSON.stringify([each.change, each.watcher, each.reason, each.withheld, each.file, each.line]);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  const all = [...groups.values()];
  const list = h("ul", { class: "changes" }, all.slice(0, GROUPS).map(group));
  if (all.length <= GROUPS) return [list];
  const more = h("button", { type: "button", class: "button", onClick: () => {
    list.append(...all.slice(GROUPS).map(group));
    more.remove();
  } }, `Show ${number(all.length - GROUPS)} more`);
  return [list, h("div", null, more)];
}

/** @param {PlanChange[]} those of one spec, kind and reason */
function group(those) {
  const [first] = those;
  const kind = KINDS[first.change] ?? "";
  return h("li", { class: `card change ${kind}` },
    h("span", { class: "change-symbol", "aria-hidden": "true" }, SYMBOLS[first.change] ?? " "),
    h("div", { class: "stack change-body" },
      h("div", { class: "row wrap" }, h("span", { class: `chip ${kind}` }, first.change), foreign(visible(cut(first.watcher, 120)[0]), "strong change-name"), first.withheld ? h("span", { class: "chip warn" }, "waits for approval") : null),
      h("p", null, foreign(visible(first.reason))),
      h("p", { class: "small muted" }, first.file ? place.file(first.file, first.line) : null, first.commit ? [" at ", place.revision(first.commit)] : null),
      fields(first),
      jobs(those)));
}

/** @param {PlanChange[]} those */
function jobs(those) {
  const on = (/** @type {PlanChange[]} */ some) => some.map((each) => h("li", null, jobLink(each), each.job_name ? h("span", { class: "muted" }, " ", foreign(visible(cut(each.job_name, 60)[0]))) : null));
  if (those.length <= 3) return h("ul", { class: "change-jobs", "aria-label": "Jobs" }, on(those));
  const list = h("ul", { class: "change-jobs" }, on(those.slice(0, JOBS)));
  if (those.length > JOBS) {
    const more = h("button", { type: "button", class: "link-button", onClick: () => {
      more.parentElement?.remove();
      list.append(...on(those.slice(JOBS)));
    } }, `${number(those.length - JOBS)} more`);
    list.append(h("li", null, more));
  }
  return h("details", null, h("summary", null, `on ${plural(those.length, "job")}`), list);
}

/** @param {PlanChange} change */
function fields(change) {
  if (change.fields.length === 0) return null;
  return h("div", { class: "table-frame fields-frame", tabindex: "0", role: "region", "aria-label": `Fields of ${change.watcher} that change` }, h("table", { class: "field-table" },
    h("thead", null, h("tr", null, ["Field", "Before", "After"].map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", null, change.fields.map((each) => h("tr", null, h("th", { scope: "row" }, h("code", { class: "path" }, foreign(visible(each.path)))), h("td", null, value(each.old, "del")), h("td", null, value(each.new, "ins")))))));
}

/**
 * @param {any} given
 * @param {"del" | "ins"} tag
 */
function value(given, tag) {
  if (given === null) return h("span", { class: "muted" }, "(default)");
  return h(tag, { class: "mono" }, foreign(visible(cut(JSON.stringify(given), 1000)[0])));
}

// @ts-check
// `/`, `/watchers`, `/watchers/ID` and `/events`: two tabs; what is not open is not loaded.
import { h } from "../lib/dom.js";
import * as list from "../parts/watchers/list.js"; // what most people come for

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  const events = location.pathname.startsWith("/events");
  const id = events ? null : ctx.path[0];
  if (id) {
    const { showWatcher } = await import("../parts/watchers/one.js");
    return ctx.signal.aborted ? undefined : showWatcher(root, ctx, Number(id));
  }
  const module = events ? await import("../parts/watchers/events.js") : list;
  if (ctx.signal.aborted) return;
  const tools = h("div", { class: "row right" });
  root.append(
    h("div", { class: "page-head" }, h("h1", null, events ? "Events" : "Watchers"), tools),
    h("nav", { class: "tabs", "aria-label": "Watchers and events" }, tab("/watchers", "Watchers", !events), tab("/events", "Events", events)));
  await module.show(root, ctx, tools);
}

/**
 * @param {string} href
 * @param {string} name
 * @param {boolean} current
 */
function tab(href, name, current) {
  return h("a", { href, "aria-current": current ? "page" : null }, name);
}

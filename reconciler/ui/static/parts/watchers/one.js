// @ts-check
// One watcher on a page of its own, with its newest events.
import { ApiError, get, isAbort } from "../../lib/api.js";
import { toast } from "../../lib/dialog.js";
import { h, icon, replace } from "../../lib/dom.js";
import { cut } from "../../lib/format.js";
import { emptyState, errorState, errorText, loading } from "../../lib/states.js";
import { watchers as store } from "../../lib/store.js";
import { Card } from "../card.js";
import { keepTemplate } from "../creator/keep-template.js";
import { show as showEvents } from "./events.js";
import { longText } from "./longtext.js";

/** Ms between two readings. */
const REREAD = 15_000;

/**
 * @param {HTMLElement} root
 * @param {import("../../types").Context} ctx
 * @param {number} id
 */
export async function showWatcher(root, ctx, id) {
  ctx.title(`Watcher ${id}`);
  root.append(loading());
  store.start();
  /** @type {import("../../types").WatcherDetail} */
  let watcher;
  try {
    if (!Number.isSafeInteger(id) || id < 1) throw new ApiError(404, {});
    watcher = await get(`/api/watchers/${id}`, { stopped: true }, ctx.signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    const list = h("a", { class: "button primary", href: "/" }, "All watchers");
    replace(root, h("h1", null, "No such watcher"), emptyState({ title: `There is no watcher ${cut(ctx.path[0], 40)[0]}`, text: "It was deleted long ago, or the address is wrong.", action: list }));
    return;
  }
  ctx.title(cut(watcher.name, 80)[0]);
  const card = new Card(watcher, { writes: ctx.session.scope !== "read" && watcher.state !== "stopped", gone: () => ctx.navigate("/") });
  follow(card, ctx, id);
  const events = h("section", { class: "stack" });
  replace(root,
    h("p", null, h("a", { href: "/" }, "← All watchers")),
    h("div", { class: "page-head" }, h("h1", { dir: "auto" }, cut(watcher.name, 200)[0]), ctx.session.scope === "read" || watcher.state === "stopped" ? null
      : h("button", { type: "button", class: "button small right", onClick: () => void keepTemplate({ watcher_id: id }, watcher.name, ctx.signal) }, icon("template"), "Save as template")),
    h("div", { class: "w-one" }, card.element),
    file(watcher),
    h("h2", null, "Events"), events);
  card.toggle(true);
  ctx.query.set("watcher_id", String(id));
  await showEvents(events, { ...ctx, setQuery: () => undefined }, null).catch((error) => replace(events, errorState(error)));
}

/**
 * @param {Card} card
 * @param {import("../../types").Context} ctx
 * @param {number} id
 */
function follow(card, ctx, id) {
  let listed = store.get(id) !== undefined;
  const off = store.subscribe(() => {
    const now = store.get(id);
    if (now?.brief) store.touch([id]); // less than what is shown
    else if (now) card.update(now);
    else if (listed) void stopped(card, ctx, id);
    listed = now !== undefined;
  });
  const ticking = window.setInterval(() => card.tick(), 1000);
  const reading = window.setInterval(() => document.hidden || (store.get(id) && store.touch([id])), REREAD);
  ctx.signal.addEventListener("abort", () => {
    off();
    clearInterval(ticking);
    clearInterval(reading);
    card.toggle(false);
  });
}

/**
 * It left the list: show what is left of it.
 * @param {Card} card
 * @param {import("../../types").Context} ctx
 * @param {number} id
 */
async function stopped(card, ctx, id) {
  try {
    const watcher = await get(`/api/watchers/${id}`, { stopped: true }, ctx.signal);
    card.around.writes = watcher.state !== "stopped";
    card.update(watcher);
  } catch (error) {
    if (!isAbort(error)) toast(errorText(error), "bad");
  }
}

/** @param {import("../../types").WatcherDetail} watcher */
function file(watcher) {
  return h("details", { class: "panel" }, h("summary", null, icon("plan"), " Its file"), h("pre", { class: "code-block", tabindex: "0" }, longText(watcher.yaml, "mono", 20_000)));
}

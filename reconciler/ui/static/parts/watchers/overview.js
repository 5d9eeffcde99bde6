// @ts-check
// The first thing to see: whether all is well, how much is watched, what fired last.
import { get } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { foreign, h, icon, replace, setText } from "../../lib/dom.js";
import { ago, cut, number, plural } from "../../lib/format.js";
import { live } from "../../lib/live.js";
import { watchers as store } from "../../lib/store.js";

/** @typedef {import("../../types").Watcher} Watcher */

/** Ms between two counts of what happened, and between two questions whether the files are well. */
const AGAIN = 5000;
const FILES_AGAIN = 30_000;

/**
 * @param {import("../../types").Context} ctx
 * @param {() => unknown} told called when it is known how many watchers are declared
 */
export function overview(ctx, told) {
  const well = h("div", { class: "o-well" });
  const watching = h("strong");
  const jobs = h("strong");
  const acted = h("strong", null, "–");
  const last = h("div", { class: "o-last cut" });
  const element = h("section", { class: "overview card", "aria-label": "Overview" }, well,
    h("dl", { class: "o-figures" }, figure("watching", watching), figure("jobs watched", jobs), figure("actions in the last hour", acted)), last);

  const draw = () => {
    const all = store.all();
    const active = all.filter((watcher) => watcher.state === "active");
    setText(watching, store.loaded ? number(active.length) : "…");
    setText(jobs, store.loaded ? number(new Set(active.map((watcher) => `${watcher.job_id}@${watcher.hostname}`)).size) : "…");
    drawHealth(well, all);
    drawLast(last, all);
  };
  const reload = async () => {
    const asked = [get("/api/watchers/stats", undefined, ctx.signal), get("/api/jobs", { limit: 1 }, ctx.signal), get("/api/plan/summary", undefined, ctx.signal)];
    const [stats, hosts, files] = await Promise.allSettled(asked);
    if (stats.status === "fulfilled") setText(acted, number(stats.value.events_last_hour));
    if (hosts.status === "fulfilled") well.dataset["away"] = Object.keys(hosts.value.unreachable).join(", ");
    if (files.status === "fulfilled") {
      well.dataset["files"] = JSON.stringify(files.value);
      declared = files.value.declared;
    }
    if (ctx.signal.aborted) return;
    drawHealth(well, store.all());
    told();
  };
  let declared = 0;
  const files = window.setInterval(() => void reload(), FILES_AGAIN);
  const again = debounce(() => void reload(), AGAIN);
  const offs = [live.on("watcher_event", () => waiting || wait())];
  let waiting = false;
  const wait = () => {
    waiting = true;
    again();
    window.setTimeout(() => (waiting = false), AGAIN);
  };
  ctx.signal.addEventListener("abort", () => {
    offs.forEach((off) => off());
    again.cancel();
    window.clearInterval(files);
  });
  void reload();
  return { element, draw, reload: () => void reload(), declared: () => declared };
}

/**
 * @param {string} name
 * @param {HTMLElement} value
 */
function figure(name, value) {
  return h("div", null, h("dd", null, value), h("dt", null, name));
}

/**
 * @param {HTMLElement} root
 * @param {Watcher[]} all
 */
function drawHealth(root, all) {
  const broken = all.filter((watcher) => watcher.state === "disabled").length;
  const failing = all.filter((watcher) => watcher.last_error !== "" && watcher.state !== "disabled").length;
  const away = root.dataset["away"] ?? "";
  /** @type {{invalid_files: number, waiting: number, alarms: number}} */
  const files = JSON.parse(root.dataset["files"] ?? '{"invalid_files": 0, "waiting": 0, "alarms": 0}');
  const key = `${store.loaded} ${broken} ${failing} ${away} ${files.invalid_files} ${files.waiting} ${files.alarms}`;
  if (root.dataset["of"] === key) return;
  root.dataset["of"] = key;
  const told = [
    broken ? h("a", { href: "/watchers?state=disabled" }, `${plural(broken, "watcher is", "watchers are")} disabled`) : null,
    failing ? h("a", { href: "/watchers?state=errors" }, `${plural(failing, "watcher has", "watchers have")} errors`) : null,
    files.alarms ? h("a", { href: "/plan" }, plural(files.alarms, "source is gone or empty", "sources are gone or empty")) : null,
    files.invalid_files ? h("a", { href: "/plan" }, plural(files.invalid_files, "file is invalid", "files are invalid")) : null,
    files.waiting ? h("a", { href: "/plan" }, plural(files.waiting, "change waits for a yes", "changes wait for a yes")) : null,
    away ? h("a", { href: "/hosts" }, "no answer from ", foreign(cut(away, 100)[0])) : null,
  ].filter((each) => each !== null);
  root.className = `o-well ${!store.loaded ? "" : told.length ? "bad" : "good"}`;
  if (!store.loaded) return replace(root, h("span", { class: "muted" }, "Looking…"));
  replace(root, icon(told.length ? "warning" : "check"), told.length ? h("span", { class: "o-told" }, ...told) : h("span", null, "All is well"));
}

/**
 * @param {HTMLElement} root
 * @param {Watcher[]} all
 */
function drawLast(root, all) {
  /** @type {Watcher | null} */
  let newest = null;
  for (const watcher of all) if (watcher.last_trigger && (!newest || watcher.last_trigger > (newest.last_trigger ?? ""))) newest = watcher;
  const key = newest ? `${newest.id} ${newest.name}` : `${store.loaded}`;
  if (root.dataset["of"] !== key) {
    root.dataset["of"] = key;
    replace(root, newest
      ? [h("span", { class: "muted" }, "Fired last: "), h("a", { href: `/watchers/${newest.id}` }, foreign(cut(newest.name, 60)[0])), " ", h("span", { class: "muted o-ago" })]
      : h("span", { class: "muted" }, store.loaded ? "Nothing has fired yet" : ""));
  }
  const when = root.querySelector(".o-ago");
  if (when && newest) setText(when, `on job ${newest.job_id}, ${ago(newest.last_trigger)}`);
}

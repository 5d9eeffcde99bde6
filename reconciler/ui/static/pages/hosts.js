// @ts-check
// Hosts: whether they answer, since when and why not, what they run, how long looks take.
import { get, isAbort } from "../lib/api.js";
import { foreign, h, icon, replace, setText } from "../lib/dom.js";
import { ago, duration, moment, number, plural } from "../lib/format.js";
import { emptyState, errorState, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { visible } from "../parts/visible.js";

/** @typedef {import("../views").Host} Host */

const EVERY = 5000;
/** Seconds that a look may begin late before it is said in colour. */
const LATE = 30;

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  ctx.title("Hosts");
  const told = h("span", { class: "muted small", role: "status" });
  const body = h("div", null, loading("The hosts are being read…"));
  root.append(h("div", { class: "page-head" }, h("h1", null, "Hosts"), told,
    h("p", { class: "lead" }, "Where jobs run, as the daemon last met them. A host that does not answer keeps its watchers; they catch up when it is back.")), body);
  const load = async () => {
    try {
      /** @type {import("../views").HostList} */
      const found = await get("/api/hosts", undefined, ctx.signal);
      if (ctx.signal.aborted) return;
      const down = found.hosts.filter((each) => !each.reachable).length;
      setText(told, down ? `${number(down)} of ${plural(found.count, "host")} ${down === 1 ? "does" : "do"} not answer` : `${plural(found.count, "host")}, all answer`);
      draw(body, found);
    } catch (error) {
      if (isAbort(error)) return;
      setText(told, "");
      replace(body, errorState(error, () => void load()));
    }
  };
  again(ctx.signal, load, { every: EVERY, concerns: (event) => /\.host\./.test(event?.type ?? "") });
  await load();
}

/**
 * @param {HTMLElement} body
 * @param {import("../views").HostList} found
 */
function draw(body, found) {
  if (found.hosts.length === 0)
    return replace(body, emptyState({ title: "No hosts", text: ["Name them under ", h("code", null, "hosts"), " in the settings."] }));
  const now = Date.parse(found.now);
  const down = found.hosts.filter((each) => !each.reachable);
  const focused = document.activeElement instanceof HTMLElement && body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  replace(body, h("ul", { class: "hosts" }, [...down, ...found.hosts.filter((each) => each.reachable)].map((each) => card(each, now))));
  if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
}

/**
 * @param {Host} host
 * @param {number} now
 */
function card(host, now) {
  const what = host.layer === "scheduler" ? "its scheduler does not answer" : "does not answer";
  const partly = host.reachable && host.layer === "accounting";
  const state = partly ? h("span", { class: "chip warn" }, icon("warning"), "its accounting does not answer") : host.reachable ? h("span", { class: "chip good" }, icon("check"), "answers") : h("span", { class: "chip bad" }, icon("warning"), what);
  const since = host.since ? h("span", { class: "muted small", title: moment(host.since) }, `since ${moment(host.since)}`) : null;
  return h("li", { class: `card host ${host.reachable ? "" : "down"}` },
    h("div", { class: "row wrap" }, h("h2", null, foreign(host.hostname)), h("span", { class: "right" }, state)),
    h("p", { class: "row wrap" }, since),
    host.reason ? h("p", { class: host.reachable ? "notice" : "notice bad" }, foreign(visible(host.reason))) : null,
    h("dl", { class: "facts" }, facts(host, now).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])));
}

/**
 * @param {Host} host
 * @param {number} now
 * @returns {[string, Node | string | (Node | string)[]][]}
 */
function facts(host, now) {
  const jobs = h("a", { href: `/jobs?host=${encodeURIComponent(host.hostname)}` }, plural(host.jobs, "job"));
  const took = host.listing_seconds === null ? "" : `, took ${duration(host.listing_seconds)}`;
  const every = host.listing_every === null ? "" : `; asked every ${duration(host.listing_every)}`;
  const listing = `${ago(host.listed, now)}${took}${every}`;
  const look = host.looked ? `${ago(host.looked, now)}, took ${duration(host.look_seconds ?? 0)} for ${plural(host.outputs, "output")}` : "nothing to look at yet";
  const late = host.late_seconds ?? 0;
  return [
    ["Reached by", host.transport],
    ["Scheduler", host.scheduler === "auto" ? "not known yet" : host.scheduler],
    ["Jobs", [jobs, host.ended_jobs ? `, ${number(host.ended_jobs)} ended` : ""]],
    ["Watchers", `${number(host.watchers)} on ${plural(host.watched_jobs, "job")}`],
    ["Last listing", listing],
    ["Last look", look],
    ["Lag", !host.looked ? "–" : late > LATE ? h("span", { class: "chip warn" }, `${duration(late)} late`) : late < 1 ? "none" : `${duration(late)} late`],
  ];
}

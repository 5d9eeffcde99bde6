// @ts-check
// The plan: what a pass would change and why, what was changed by hand, which files are bad, what was applied last.
import { get, isAbort, post } from "../lib/api.js";
import { toast } from "../lib/dialog.js";
import { foreign, h, icon, renew, replace, setText } from "../lib/dom.js";
import { ago, cut, moment, number, plural } from "../lib/format.js";
import { emptyState, errorState, errorText, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { jobLink, place } from "../parts/places.js";
import { changeGroups } from "../parts/plan-changes.js";
import { problemCards } from "../parts/problems.js";
import { visible } from "../parts/visible.js";

/** @typedef {import("../views").WholePlan} WholePlan */

const EVERY = 10_000;
const CONCERNS = /\.(source|watcher\.(created|updated|replaced|stopped|suspended|resumed)|host|api\.written)\b/;

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  ctx.title("Plan");
  const told = h("span", { class: "muted small", role: "status" });
  const body = h("div", { class: "stack plan" }, loading("The plan is being made…"));
  let shown = "";
  const load = async () => {
    try {
      /** @type {WholePlan} */
      const plan = await get("/api/plan", undefined, ctx.signal);
      setText(told, summary(plan));
      const text = JSON.stringify(plan);
      if (text === shown || ctx.signal.aborted) return;
      shown = text;
      renew(body, ...sections(plan, ctx, call));
    } catch (error) {
      if (isAbort(error)) return;
      shown = "";
      setText(told, "");
      replace(body, errorState(error, () => void call()));
    }
  };
  const refresh = h("button", { type: "button", class: "button", onClick: () => void call() }, icon("refresh"), "Refresh");
  root.append(h("div", { class: "page-head" }, h("h1", null, "Plan"), told, h("span", { class: "right" }, refresh),
    h("p", { class: "lead" }, "What the next pass changes so that all is as the files say. The daemon makes a pass whenever files or jobs change.")), body);
  const call = again(ctx.signal, load, { every: EVERY, concerns: (event) => CONCERNS.test(event?.type ?? "") });
  await load();
}

/** @param {WholePlan} plan */
function summary(plan) {
  const kinds = Object.entries(plan.summary).sort();
  return kinds.length ? kinds.map(([kind, count]) => `${number(count)} to ${kind}`).join(", ") : "no changes";
}

/**
 * @param {WholePlan} plan
 * @param {import("../types").Context} ctx
 * @param {() => Promise<void>} reload
 */
function sections(plan, ctx, reload) {
  const errors = plan.problems.filter((each) => each.severity === "error").length;
  return [
    ...notices(plan),
    section("Pending changes", plan.changes.length, plan.changes.length ? changeGroups(plan.changes) : quiet("All is as declared.")),
    section("Invalid files", plan.problems.length, plan.problems.length
      ? [h("p", { class: "muted small" }, errors ? "Of a bad file, its last good version stays in force." : "These are doubts, no errors: the files are in force."), ...problemCards(plan.problems)]
      : quiet("All files are good.")),
    section("Drift", plan.drift.length, plan.drift.length ? driftTable(plan.drift, ctx, reload) : quiet("Nothing was changed by hand.")),
    section("Sources", plan.sources.length, plan.sources.length ? sourceTable(plan.sources) : emptyState({ title: "No source of watchers", text: "Name a directory or a git repository in the settings." })),
    ...notes(plan.notes),
  ];
}

/**
 * @param {string} title
 * @param {number} count
 * @param {Node | Node[]} content
 */
function section(title, count, content) {
  return h("section", { class: "stack", "aria-label": title }, h("h2", null, title, " ", h("span", { class: "chip" }, number(count))), ...[content].flat());
}

/** @param {string} text */
function quiet(text) {
  return h("p", { class: "row muted" }, icon("check"), text);
}

/** @param {WholePlan} plan */
function notices(plan) {
  const withheld = plan.changes.filter((each) => each.withheld);
  const reasons = [...new Set(withheld.map((each) => each.withheld))];
  const found = plan.alarms.map((alarm) => h("div", { class: "notice bad" }, icon("warning"), h("span", null, foreign(visible(alarm)), " Nothing of that source is stopped.")));
  for (const [host, why] of Object.entries(plan.unreachable))
    found.push(h("div", { class: "notice warn" }, icon("warning"), h("span", null, foreign(host, "strong"), " does not answer: ", foreign(visible(why)), ". Planned with what is known of it.")));
  if (withheld.length)
    found.push(h("div", { class: "notice warn" }, icon("warning"), h("div", { class: "stack" },
      h("p", null, h("strong", null, `${plural(withheld.length, "change")} ${withheld.length === 1 ? "waits" : "wait"} for a person's yes: `), foreign(visible(reasons.join("; "))), "."),
      h("p", { class: "small" }, "Look at them below; then, where the daemon is not running: ", h("code", { class: "path" }, `reconcile --once --approve=${plan.digest}`)))));
  return found;
}

/**
 * @param {import("../views").Drift[]} drift
 * @param {import("../types").Context} ctx
 * @param {() => Promise<void>} reload
 */
function driftTable(drift, ctx, reload) {
  const may = ctx.session.scope !== "read";
  const resume = async (/** @type {import("../views").Drift} */ each, /** @type {HTMLButtonElement} */ button) => {
    button.disabled = true;
    try {
      await post(`/api/watchers/${each.watcher_id}/resume`, {});
      toast(`${each.watcher} goes on`, "good");
    } catch (error) {
      toast(errorText(error), "bad");
    }
    await reload();
    button.disabled = false;
  };
  const row = (/** @type {import("../views").Drift} */ each) => h("tr", null,
    h("td", null, h("a", { href: `/watchers/${each.watcher_id}` }, foreign(visible(cut(each.watcher, 80)[0]))), " on ", jobLink(each)),
    h("td", null, "suspended by ", foreign(visible(cut(each.by, 80)[0]), "strong"), ": ", foreign(visible(cut(each.reason, 200)[0] || "no reason given"))),
    h("td", { class: "nowrap", title: moment(each.since) }, ago(each.since)),
    h("td", { class: "nowrap" }, each.until ? moment(each.until) : "until somebody resumes it"),
    may ? h("td", null, h("button", { type: "button", class: "button small", "aria-label": `Resume ${each.watcher} on job ${each.job_id}`, onClick: (/** @type {any} */ event) => void resume(each, event.currentTarget) }, "Resume")) : null);
  const heads = ["Watcher", "What", "Since", "Until", ...(may ? [""] : [])];
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Drift" }, h("table", null,
    h("thead", null, h("tr", null, heads.map((each) => (each ? h("th", { scope: "col" }, each) : h("td", null))))), h("tbody", null, drift.map(row))));
}

/** @param {import("../views").Source[]} sources */
function sourceTable(sources) {
  const row = (/** @type {import("../views").Source} */ each) => h("tr", null,
    h("td", null, foreign(visible(each.name), "path")),
    h("td", null, each.failed ? h("span", { class: "chip bad" }, "cannot be read") : place.revision(each.revision), each.failed ? h("p", { class: "small" }, foreign(visible(each.failed))) : null),
    h("td", { class: "number" }, number(each.watchers)),
    h("td", { class: "number" }, number(each.files), each.bad_files ? h("span", { class: "chip bad bad-files" }, `${number(each.bad_files)} bad`) : null),
    h("td", null, each.applied ? [place.revision(each.applied.revision), h("span", { class: "muted small nowrap", title: moment(each.applied.at) }, ` ${ago(each.applied.at)}, ${plural(each.applied.changes, "change")}`)] : h("span", { class: "muted" }, "nothing yet")));
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Sources" }, h("table", null,
    h("thead", null, h("tr", null, ["Source", "Commit now", "Watchers", "Files", "Last applied"].map((each) => h("th", { scope: "col", class: each === "Watchers" || each === "Files" ? "number" : null }, each)))), h("tbody", null, sources.map(row))));
}

/** @param {Record<string, string>} found */
function notes(found) {
  const rows = Object.entries(found);
  if (rows.length === 0) return [];
  return [section("Kept though their files say otherwise", rows.length, h("ul", { class: "stack" }, rows.map(([name, why]) => h("li", null, foreign(visible(name), "strong"), ": ", foreign(visible(why))))))];
}


// @ts-check
// Jobs: the list, and one job with what it prints.
import { get, isAbort } from "../lib/api.js";
import { debounce } from "../lib/debounce.js";
import { foreign, h, icon, replace, setText } from "../lib/dom.js";
import { ago, cut, jobUrl, moment, number, plural } from "../lib/format.js";
import { emptyState, errorState, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { jobState } from "../parts/job-state.js";
import { visible } from "../parts/visible.js";
import { showJob } from "./job.js";

/** @typedef {import("../types").Job} Job */

const STATES = ["running", "pending", "suspended", "completed", "failed", "timeout", "cancelled", "unknown"];
const PAGE = 100;
const EVERY = 10_000;

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  const [host, id] = ctx.path;
  if (host && id) return showJob(root, ctx, host, id);
  ctx.title("Jobs");
  const list = new JobList(ctx);
  root.append(list.element);
  await list.load();
}

class JobList {
  #wanted = PAGE;
  #run = 0;

  /** @param {import("../types").Context} ctx */
  constructor(ctx) {
    this.ctx = ctx;
    const typed = debounce((/** @type {string} */ text) => this.#narrow("q", text.trim()), 250);
    const search = h("input", { type: "search", "aria-label": "Search jobs", placeholder: "Job id or name", maxlength: "200", value: ctx.query.get("q") ?? "", onInput: (/** @type {any} */ event) => typed(event.target.value) });
    const state = h("select", { "aria-label": "State", onChange: (/** @type {any} */ event) => this.#narrow("state", event.target.value) },
      h("option", { value: "" }, "All states"), STATES.map((each) => h("option", { value: each, selected: each === ctx.query.get("state") }, each)));
    this.host = h("select", { "aria-label": "Host", onChange: (/** @type {any} */ event) => this.#narrow("host", event.target.value) }, h("option", { value: "" }, "All hosts"));
    this.told = h("p", { class: "muted small", role: "status" });
    this.notice = h("div", { class: "stack" });
    this.body = h("div", null, loading("The jobs are being read…"));
    this.element = h("div", { class: "stack" },
      h("div", { class: "page-head" }, h("h1", null, "Jobs"), h("span", { class: "right" }, this.told)),
      h("div", { class: "row wrap job-filters", role: "search" }, h("span", { class: "search grow" }, icon("search"), search), state, this.host),
      this.notice, this.body);
    again(ctx.signal, () => this.load(), { every: EVERY, concerns: (event) => /\.(watcher\.(created|completed|stopped)|host\.)/.test(event?.type ?? "") });
    void this.#hosts();
  }

  async load() {
    const run = ++this.#run;
    const { query, signal } = this.ctx;
    try {
      /** @type {import("../types").JobList} */
      const found = await get("/api/jobs", { search: query.get("q"), state: query.get("state"), host: query.get("host"), limit: Math.min(1000, this.#wanted) }, signal);
      if (run === this.#run && !signal.aborted) this.#draw(found);
    } catch (error) {
      if (!isAbort(error) && run === this.#run) replace(this.body, errorState(error, () => void this.load()));
    }
  }

  async #hosts() {
    try {
      const { hosts } = await get("/api/hosts", undefined, this.ctx.signal);
      for (const { hostname } of hosts) this.host.append(h("option", { value: hostname, selected: hostname === this.ctx.query.get("host") }, hostname));
    } catch (error) {
      if (!isAbort(error)) this.host.hidden = true;
    }
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #narrow(name, value) {
    this.ctx.setQuery({ [name]: value });
    this.#wanted = PAGE;
    void this.load();
  }

  /** @param {import("../types").JobList} found */
  #draw(found) {
    const down = Object.entries(found.unreachable);
    replace(this.notice, down.map(([host, why]) => h("div", { class: "notice warn" }, icon("warning"),
      h("span", null, foreign(host, "strong"), " does not answer: ", foreign(visible(why)), ". What is shown of it is what was known before. ", h("a", { href: "/hosts" }, "Hosts")))));
    setText(this.told, found.count < found.total ? `${number(found.count)} of ${plural(found.total, "job")}` : plural(found.total, "job"));
    if (found.total === 0) return replace(this.body, this.#nothing());
    const focused = document.activeElement instanceof HTMLElement && this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    replace(this.body, table(found.jobs), found.next_cursor && this.#wanted < 1000 ? this.#more() : null);
    if (focused) /** @type {HTMLElement | null} */ (this.body.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
  }

  #nothing() {
    const { query } = this.ctx;
    if (query.get("q") || query.get("state") || query.get("host"))
      return emptyState({ title: "No job fits", text: "Ask for less, or for another state.", action: h("a", { class: "button", href: "/jobs" }, "Show all jobs") });
    return emptyState({ title: "No jobs are known", text: "Jobs appear here as soon as a scheduler lists them: the running ones of your account, and those that ended lately.", action: h("a", { class: "button", href: "/hosts" }, "See what the hosts say") });
  }

  #more() {
    const press = () => {
      this.#wanted += 3 * PAGE;
      void this.load();
    };
    return h("p", { class: "more" }, h("button", { type: "button", class: "button", onClick: press }, "Show more jobs"));
  }
}

/** @param {Job[]} jobs */
function table(jobs) {
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Jobs" },
    h("table", { class: "job-table" },
      h("thead", null, h("tr", null, ["Job", "State", "Watchers", "Name", "User", "Submitted"].map((name) => h("th", { scope: "col", class: name === "Watchers" ? "number" : `column-${name.toLowerCase()}` }, name)))),
      h("tbody", null, jobs.map(jobRow))));
}

/** @param {Job} job */
function jobRow(job) {
  const watched = job.watchers ? h("a", { href: `/watchers?q=${encodeURIComponent(job.job_id)}`, "aria-label": `${plural(job.watchers, "watcher")} of job ${job.job_id}` }, number(job.watchers)) : "0";
  return h("tr", null,
    h("td", null, h("a", { class: "strong nowrap", href: jobUrl(job.job_id, job.hostname) }, job.job_id), h("span", { class: "muted small at-host" }, "@", foreign(job.hostname))),
    h("td", null, jobState(job)),
    h("td", { class: "number" }, watched),
    h("td", { class: "column-name" }, foreign(visible(cut(job.name, 120)[0]), "job-name")),
    h("td", { class: "column-user" }, foreign(visible(job.user))),
    h("td", { class: "column-submitted nowrap", title: moment(job.submitted) }, job.submitted ? ago(job.submitted) : "not known"));
}

// @ts-check
// The output of a chosen job, or a text of one's own, with what the pattern finds in it.
import { ApiError, get, isAbort, post } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { h, icon, replace, setText } from "../../lib/dom.js";
import { jobKey, number, plural } from "../../lib/format.js";
import { errorText } from "../../lib/states.js";
import { area, select } from "./fields.js";
import { expressions, kindOf } from "./model.js";
import { marked } from "./marks.js";

/** @typedef {import("./types").Desk} Desk */

const LINES = 300;
/** Each may take six bytes of a request, of which the API takes a megabyte. */
const MOST_CHARACTERS = 150_000;
const OWN = "";
/** Ms between two readings of an output that may grow. */
const AGAIN = 4000;

/** @param {Desk} desk */
export function samplePanel(desk) {
  const view = new Sample(desk);
  desk.onChange(() => view.changed());
  void view.read();
  return { element: view.element, tryNow: () => view.tryNow() };
}

class Sample {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    /** @type {string[]} */
    this.lines = [];
    this.own = "";
    this.source = desk.form.jobs[0] ? keyOf(desk.form.jobs[0]) : OWN;
    this.stream = desk.form.spec.output_type === "stderr" ? "stderr" : "stdout";
    this.reading = new AbortController();
    this.trying = new AbortController();
    this.sources = h("div", { class: "grow" });
    this.streams = select([["stdout", "stdout"], ["stderr", "stderr"]], this.stream, (value) => {
      this.stream = value;
      void this.read();
    }, { "aria-label": "Stream", class: "sample-stream" });
    this.again = h("button", { type: "button", class: "button icon-only", "aria-label": "Read the output again", onClick: () => void this.read() }, icon("refresh"));
    this.count = h("p", { class: "small sample-count", role: "status" });
    this.box = h("div", { class: "sample-lines", tabindex: "0", role: "region", "aria-label": "Output with what the pattern finds" });
    this.text = area("", (value) => {
      this.own = value;
      this.lines = split(value);
      this.later();
    }, { rows: 4, class: "mono", "aria-label": "Text to try the pattern on", placeholder: "Paste lines here to try the pattern on them." });
    this.element = h("section", { class: "panel stack sample", "aria-labelledby": "creator-sample" },
      h("h2", { id: "creator-sample" }, "Tried on"), h("div", { class: "row" }, this.sources, this.streams, this.again), this.text, this.count, this.box);
    this.later = debounce(() => void this.tryNow(), 220);
    this.known = "?";
    this.asked = "";
    this.missing = "";
    /** It is being read; what takes longer than the time between two readings is waited for. */
    this.busy = false;
    /** The server could not be asked. */
    this.untried = false;
    this.jobsChanged();
    const timer = window.setInterval(() => {
      if (!this.element.isConnected) clearInterval(timer);
      else if (!document.hidden && !this.busy) void this.read(true);
    }, AGAIN);
    desk.ctx.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Something of the form changed. */
  changed() {
    if (this.jobsChanged()) void this.read();
    this.later();
  }

  /** Offer the chosen jobs; true where another one is shown now. */
  jobsChanged() {
    const keys = this.desk.form.jobs.map(keyOf);
    if (this.known === keys.join("\n")) return false;
    this.known = keys.join("\n");
    const before = this.source;
    if (!keys.includes(this.source)) this.source = keys[0] ?? OWN;
    const options = this.desk.form.jobs.map((job) => /** @type {[string, string]} */ ([keyOf(job), `${job.name.slice(0, 60)} — ${keyOf(job)}`]));
    replace(this.sources, select([...options, [OWN, "A text of your own"]], this.source, (value) => {
      this.source = value;
      void this.read();
    }, { "aria-label": "Try it on" }));
    return before !== this.source;
  }

  /**
   * Read what is to be shown.
   * @param {boolean} [again] only to see whether it has grown
   */
  async read(again = false) {
    const job = this.desk.form.jobs.find((each) => keyOf(each) === this.source);
    if (again && !job) return void (this.untried && (await this.tryNow()));
    this.reading.abort();
    const reading = (this.reading = new AbortController());
    const before = this.lines.join("\n") + this.missing;
    for (const element of [this.streams, this.again]) element.hidden = !job;
    this.text.hidden = Boolean(job);
    if (!job) {
      this.lines = split(this.own);
      return void (await this.tryNow());
    }
    this.busy = true;
    try {
      const query = { hostname: job.hostname, stream: this.stream, limit: LINES };
      const found = await get(`/api/jobs/${encodeURIComponent(job.job_id)}/output/lines`, query, reading.signal);
      this.lines = bounded(found.lines.map((/** @type {{text: string}} */ line) => line.text));
      this.missing = found.sight === "read" ? "" : found.sight === "missing" ? "There is no such file yet." : found.reason;
    } catch (error) {
      if (isAbort(error) || again) return;
      this.lines = [];
      this.missing = errorText(error);
    } finally {
      if (reading === this.reading) this.busy = false;
    }
    if (!again || this.untried || before !== this.lines.join("\n") + this.missing) await this.tryNow();
  }

  /** Let the server's matcher look at it. */
  async tryNow() {
    this.trying.abort();
    this.trying = new AbortController();
    const asked = question(this.desk);
    this.untried = false;
    if (!asked) return this.show(null);
    try {
      const body = { ...asked, text: this.lines.join("\n"), limit: 1000 };
      const tried = await post("/api/patterns/test", body, this.trying.signal);
      this.untried = false;
      this.desk.setTried(tried);
      this.show(tried);
    } catch (error) {
      if (isAbort(error)) return;
      this.untried = !(error instanceof ApiError && error.status === 422);
      if (this.untried) return setText(this.count, `${errorText(error)}; it is tried again.`);
      this.desk.setTried(null);
      this.show(null);
    }
  }

  /** @param {import("./types").Tried | null} tried */
  show(tried) {
    const shown = this.source === OWN ? "these lines" : `the last ${plural(this.lines.length, "line")}`;
    const empty = this.source === OWN ? "" : this.missing || "Nothing is printed yet.";
    if (!this.lines.length) setText(this.count, empty);
    else setText(this.count, tried ? `${number(tried.count)} ${tried.count === 1 ? "match" : "matches"} in ${shown}` : `No pattern is tried on ${shown}`);
    const atEnd = this.box.scrollTop + this.box.clientHeight >= this.box.scrollHeight - 4;
    const asked = JSON.stringify([this.source, this.stream, question(this.desk)]);
    const fresh = asked !== this.asked;
    const { scrollTop } = this.box;
    this.asked = asked;
    replace(this.box, marked(this.lines, tried?.matches ?? []));
    this.box.hidden = this.source === OWN && !this.lines.length;
    const last = [...this.box.querySelectorAll("mark")].at(-1);
    if (fresh && last instanceof HTMLElement) this.box.scrollTop = last.offsetTop - this.box.clientHeight / 2;
    else this.box.scrollTop = fresh || atEnd ? this.box.scrollHeight : scrollTop;
  }
}

/**
 * What the matcher is asked; null: nothing can be tried.
 * @param {Desk} desk
 */
function question(desk) {
  const { spec } = desk.form;
  const kind = kindOf(desk.form);
  if (desk.form.text !== null || kind === "none") return null;
  if (kind === "preset") return { preset: spec.preset };
  const texts = expressions(desk.form).filter(Boolean);
  if (!texts.length) return null;
  const more = { multiline: whole(spec.multiline), ignore_pattern_echo: spec.ignore_pattern_echo ?? true, ...(spec.condition ? { condition: spec.condition } : {}) };
  return kind === "pattern" ? { pattern: texts[0], captures: spec.captures ?? [], ...more } : { any: texts, ...more };
}

/** @param {any} value */
function whole(value) {
  return Number.isInteger(value) && value >= 1 && value <= 50 ? value : 1;
}

/** @param {import("./types").FittingJob} job */
function keyOf(job) {
  return jobKey(job.job_id, job.hostname);
}

/** @param {string} value */
function split(value) {
  return value ? bounded(value.replace(/\r\n?/g, "\n").split("\n")) : [];
}

/**
 * The last lines that are not too much to look at.
 * @param {string[]} lines
 */
function bounded(lines) {
  let left = MOST_CHARACTERS;
  let at = lines.length;
  while (at > 0 && lines.length - at < LINES && (left -= lines[at - 1].length + 1) >= 0) at--;
  return lines.slice(at);
}

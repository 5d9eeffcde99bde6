// @ts-check
// The metrics of one job: which to draw, together or one below the other, over steps or time; CSV; a table.
import { get, isAbort } from "../lib/api.js";
import { foreign, h, icon, replace } from "../lib/dom.js";
import { ago, cut, jobUrl, moment, number, plural } from "../lib/format.js";
import { emptyState, errorText, loading } from "../lib/states.js";
import { again } from "../parts/again.js";
import { Chart } from "../parts/chart.js";
import { csv, MetricPoints } from "../parts/metric-points.js";
import { exact } from "../parts/scale.js";
import { visible } from "../parts/visible.js";

/** @typedef {import("../types").MetricSummary} Summary */
/** @typedef {import("../parts/metric-points.js").Axis} Axis */

/** @type {[Axis, string, string][]} */
const AXES = [["step", "Steps", "Over the steps that were stored with the values"], ["time", "Time", "Over the time at which they were read"], ["order", "Order", "One after the other"]];

const EVERY = 15_000;
/** Metrics that are drawn before somebody chose. */
const FIRST = 4;
/** Rows of the table: the newest. */
const ROWS = 200;

/**
 * @param {HTMLElement} root
 * @param {import("../types").Context} ctx
 * @param {string} id
 * @param {string | null} host
 */
export async function showMetrics(root, ctx, id, host) {
  ctx.title(`Metrics of job ${id}`);
  root.append(h("h1", { class: "visually-hidden" }, `Metrics of job ${id}`), loading("The metrics are being read…"));
  /** @type {import("../types").Job} */
  const job = await get(`/api/jobs/${encodeURIComponent(id)}`, { hostname: host }, ctx.signal);
  const page = new MetricsPage({ host: job.hostname, id }, ctx);
  const head = h("div", { class: "page-head" }, h("h1", null, "Metrics of job ", h("a", { href: jobUrl(id, job.hostname) }, id)), h("a", { class: "button right", href: "/metrics" }, "All jobs"),
    h("p", { class: "lead" }, foreign(visible(cut(job.name, 120)[0]))));
  replace(root, head, page.element);
  await page.load();
  again(ctx.signal, () => page.load(), { every: EVERY, concerns: (event) => event?.job_id === id && event.hostname === job.hostname && event.action_type === "store_metric" });
}

class MetricsPage {
  /** @type {Summary[]} */
  #found = [];
  /** @type {Map<string, MetricPoints>} */
  #points = new Map();
  /** @type {Chart[]} */
  #charts = [];
  #drawn = "";
  /** @type {import("../parts/scale.js").Range | null} */
  #range = null;

  /**
   * @param {{host: string, id: string}} of
   * @param {import("../types").Context} ctx
   */
  constructor(of, ctx) {
    this.of = of;
    this.ctx = ctx;
    this.list = h("ul", { class: "metric-list", "aria-label": "Metrics" });
    this.notice = h("div", { role: "status" });
    this.plots = h("div", { class: "stack plots" });
    this.together = this.#toggle("Together", "All in one chart", "together");
    this.axes = h("div", { class: "segments", role: "group", "aria-label": "Horizontal axis" }, AXES.map(([axis, name, title]) =>
      h("button", { type: "button", title, dataset: { axis }, "aria-pressed": "false", onClick: () => this.#turn(axis) }, name)));
    this.log = this.#toggle("Log", "A logarithmic scale", "log");
    this.all = h("button", { type: "button", class: "button", disabled: true, onClick: () => this.#zoomed(null) }, "Show all");
    this.rows = h("details", { class: "panel metric-table" }, h("summary", null, "Values as a table"));
    this.rows.addEventListener("toggle", () => this.#table());
    this.bar = h("div", { class: "row wrap" }, this.axes, this.together, this.log, this.all, h("button", { type: "button", class: "button right", onClick: () => this.#download() }, icon("download"), "CSV"));
    this.body = h("div", { class: "metrics-body" }, h("aside", { class: "panel metric-choice" }, h("h2", { class: "small" }, "Metrics"), this.list), h("div", { class: "stack" }, this.notice, this.bar, this.plots, this.rows));
    this.element = h("div", null, loading("The metrics are being read…"));
    ctx.signal.addEventListener("abort", () => this.#charts.forEach((each) => each.stop()));
  }

  /** Read what there is and what is new of what is drawn. */
  async load() {
    const { signal } = this.ctx;
    try {
      const answer = await get(`/api/metrics/${encodeURIComponent(this.of.id)}`, { hostname: this.of.host }, signal);
      this.#found = answer.metrics;
      if (this.#found.length && !this.body.isConnected) this.#begin();
      await Promise.all(this.chosen.map((each) => each.read()));
    } catch (error) {
      if (isAbort(error)) return;
      if (this.#found.length === 0) throw error;
      return replace(this.notice, h("p", { class: "notice bad" }, icon("warning"), h("span", null, `${errorText(error)}; it is tried again.`)));
    }
    if (signal.aborted) return;
    replace(this.notice);
    this.#draw();
  }

  /** What is to be drawn: what the address names, else the first few. */
  get chosen() {
    const asked = this.ctx.query.getAll("name");
    const named = this.#found.filter(({ name }) => asked.includes(name));
    const those = named.length || asked.length ? named : this.#found.slice(0, FIRST);
    return those.map(({ name }) => {
      const known = this.#points.get(name) ?? new MetricPoints(this.of, name, this.ctx.signal);
      this.#points.set(name, known);
      return known;
    });
  }

  /** What there is, while its points are on their way. */
  #begin() {
    replace(this.plots, loading("The values are being read…"));
    replace(this.element, this.body);
    this.#choice();
  }

  #draw() {
    if (this.#found.length === 0) {
      replace(this.element, emptyState({ title: "No numbers are kept of this job", text: ["A watcher keeps them when its action is ", h("code", null, "store_metric"), "."], action: this.ctx.session.scope === "read" ? null : h("a", { class: "button primary", href: `/new?host=${encodeURIComponent(this.of.host)}&job=${encodeURIComponent(this.of.id)}` }, icon("plus"), "Watch this job") }));
      return;
    }
    this.#choice();
    const chosen = this.chosen;
    const axis = this.#axis(chosen);
    const names = this.#found.map((each) => each.name);
    const series = chosen.map((each) => ({ name: visible(each.name), color: names.indexOf(each.name), points: each.series(axis) }));
    const groups = this.#on("together") ? [series] : series.map((each) => [each]);
    const shape = JSON.stringify([groups.map((group) => group.map((each) => each.name)), axis, this.#on("log")]);
    if (shape !== this.#drawn) this.#plot(groups, axis);
    this.#drawn = shape;
    this.#charts.forEach((chart, at) => chart.set(groups[at]));
    this.#table();
  }

  /**
   * @param {{name: string, color: number, points: any[]}[][]} groups
   * @param {Axis} axis
   */
  #plot(groups, axis) {
    for (const each of this.#charts) each.stop();
    this.#zoomed(null);
    this.#charts = groups.filter((group) => group.length).map((group) => new Chart({
      label: `${group.map((each) => cut(each.name, 60)[0]).join(", ")} over ${axis === "time" ? "time" : axis === "step" ? "steps" : "their order"}`, axis, log: this.#on("log"), height: groups.length > 1 ? 220 : 380, zoomed: (range) => this.#zoomed(range),
    }));
    const none = h("p", { class: "muted" }, "Choose a metric.");
    replace(this.plots, this.#charts.length ? this.#charts.map((chart, at) => h("section", { class: "panel" }, h("h2", { class: "small" }, ...names(groups[at])), chart.element)) : none);
  }

  /**
   * What the address asks for where that can be; else steps where all have some, else time, unless that crowds them.
   * @param {MetricPoints[]} chosen
   * @returns {Axis}
   */
  #axis(chosen) {
    const stepped = chosen.length > 0 && chosen.every((each) => each.stepped);
    const asked = this.ctx.query.get("x");
    const best = stepped ? "step" : chosen.some((each) => each.crowded) ? "order" : "time";
    const axis = asked === "time" || asked === "order" || (asked === "step" && stepped) ? asked : best;
    for (const button of this.axes.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["axis"] === axis));
      button.disabled = button.dataset["axis"] === "step" && !stepped;
    }
    return axis;
  }

  /** @param {Axis} axis */
  #turn(axis) {
    this.ctx.setQuery({ x: axis });
    this.#draw();
  }

  /** @param {import("../parts/scale.js").Range | null} range */
  #zoomed(range) {
    this.#range = range;
    this.all.disabled = range === null;
    for (const chart of this.#charts) chart.show(range);
  }

  #choice() {
    const drawn = new Set(this.chosen.map((each) => each.name));
    const focused = document.activeElement instanceof HTMLInputElement && this.list.contains(document.activeElement) ? document.activeElement.value : null;
    replace(this.list, this.#found.map((each, at) => h("li", null, h("label", { class: "check metric" },
      h("input", { type: "checkbox", value: each.name, checked: drawn.has(each.name), onChange: (/** @type {any} */ event) => this.#choose(each.name, event.target.checked) }),
      h("span", { class: `swatch series-${at % 8}`, "aria-hidden": "true" }),
      h("span", { class: "metric-name" }, foreign(visible(cut(each.name, 80)[0]))),
      h("span", { class: "muted small metric-last", title: `${plural(each.count, "point")}, the last one ${moment(each.last_at)}` }, each.last === null ? "–" : exact(each.last), h("span", { class: "visually-hidden" }, `, ${ago(each.last_at)}`))))));
    if (focused !== null) for (const input of this.list.querySelectorAll("input")) if (input.value === focused) input.focus();
  }

  /**
   * @param {string} name
   * @param {boolean} on
   */
  #choose(name, on) {
    const names = new Set(this.chosen.map((each) => each.name));
    if (on) names.add(name);
    else names.delete(name);
    this.ctx.query.delete("name");
    for (const each of names.size ? names : [""]) this.ctx.query.append("name", each);
    this.ctx.setQuery({});
    void this.load();
  }

  #download() {
    const text = csv(this.chosen);
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = h("a", { href: url, download: `metrics-${this.of.id}@${this.of.host}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  /** The newest values, for those who do not see the chart. */
  #table() {
    if (!this.rows.open) return;
    const rows = this.chosen.flatMap(({ name, points }) => points.slice(-ROWS).map((each) => ({ name, ...each }))).sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, ROWS);
    const all = this.chosen.reduce((sum, each) => sum + each.points.length, 0);
    const told = all > rows.length ? h("p", { class: "muted small" }, `The newest ${number(rows.length)} of ${number(all)}; the CSV has all of them.`) : null;
    const body = rows.map((each) => h("tr", null, h("td", null, foreign(visible(each.name))), h("td", { class: "number" }, each.step === null ? "" : exact(each.step)), h("td", { class: "number" }, each.value === null ? "no number" : exact(each.value)), h("td", { class: "nowrap" }, moment(each.at))));
    const table = h("table", null, h("thead", null, h("tr", null, ["Metric", "Step", "Value", "Time"].map((each) => h("th", { scope: "col", class: each === "Step" || each === "Value" ? "number" : null }, each)))), h("tbody", null, body));
    replace(this.rows, h("summary", null, "Values as a table"), told, h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Values" }, table));
  }

  /** @param {string} name */
  #on(name) {
    return this.ctx.query.get(name) === "1";
  }

  /**
   * @param {string} label
   * @param {string} title
   * @param {string} name
   */
  #toggle(label, title, name) {
    const button = h("button", { type: "button", class: "button", title, "aria-pressed": String(this.#on(name)), onClick: () => {
      this.ctx.setQuery({ [name]: this.#on(name) ? null : "1" });
      button.setAttribute("aria-pressed", String(this.#on(name)));
      this.#draw();
    } }, label);
    return button;
  }
}

/** @param {{name: string, color: number}[]} group */
function names(group) {
  return group.flatMap((each) => [h("span", { class: "key" }, h("span", { class: `swatch series-${each.color % 8}`, "aria-hidden": "true" }), foreign(cut(each.name, 60)[0])), " "]);
}

// @ts-check
// From watchers to rows of cards: as many columns as fit, under their jobs where they are grouped.
import { foreign, h, icon, replace, setText } from "../../lib/dom.js";
import { cut, jobKey, jobUrl, plural } from "../../lib/format.js";

/** @typedef {import("../../types").Watcher} Watcher */
/** @typedef {{key: string, head: Watcher[] | null, watchers: Watcher[]}} Row */

const GAP = 12;
const NARROWEST = 330;
/** Px of a closed card with and without its job, and of a job's heading. */
const CARD = 170;
const CARD_IN_JOB = 142;
const HEAD = 40;

export class Rows {
  /** @type {Row[]} */
  #rows = [];
  #columns = 1;
  #grouped = false;

  /**
   * @param {(watcher: Watcher, withJob: boolean) => HTMLElement} card
   * @param {import("./selection.js").Selection} selection
   */
  constructor(card, selection) {
    this.card = card;
    this.selection = selection;
  }

  get count() {
    return this.#rows.length;
  }

  /**
   * How many columns fit; true: that changed.
   * @param {number} width px
   */
  fit(width) {
    const before = this.#columns;
    this.#columns = Math.max(1, Math.min(4, Math.floor((width + GAP) / (NARROWEST + GAP))));
    return before !== this.#columns;
  }

  /**
   * @param {Watcher[]} watchers
   * @param {boolean} grouped
   */
  lay(watchers, grouped) {
    this.#grouped = grouped;
    if (!grouped) this.#rows = this.#split("", watchers);
    else this.#rows = [...byJob(watchers)].flatMap(([key, those]) => [{ key: `job ${key}`, head: those, watchers: [] }, ...this.#split(key, those)]);
  }

  /** @param {number} index */
  key(index) {
    return this.#rows[index].key;
  }

  /** @param {number} index */
  estimate(index) {
    return this.#rows[index].head ? HEAD : this.#grouped ? CARD_IN_JOB : CARD;
  }

  /**
   * @param {number} index
   * @param {HTMLElement | null} before
   */
  render(index, before) {
    const row = this.#rows[index];
    if (row.head) return this.#head(row.head, before);
    const element = before ?? h("div", { class: "w-row" });
    element.style.setProperty("--columns", String(this.#columns));
    const cards = row.watchers.map((watcher) => this.card(watcher, !this.#grouped));
    cards.forEach((card, at) => element.children[at] !== card && element.insertBefore(card, element.children[at] ?? null));
    while (element.children.length > cards.length) element.lastElementChild?.remove();
    return element;
  }

  /**
   * @param {string} key
   * @param {Watcher[]} watchers
   * @returns {Row[]}
   */
  #split(key, watchers) {
    const rows = [];
    for (let at = 0; at < watchers.length; at += this.#columns) {
      rows.push({ key: `${key} ${at / this.#columns}`, head: null, watchers: watchers.slice(at, at + this.#columns) });
    }
    return rows;
  }

  /**
   * @param {Watcher[]} watchers
   * @param {HTMLElement | null} before
   */
  #head(watchers, before) {
    const { job_id, job_name, hostname } = watchers[0];
    const element = before ?? h("div", { class: "w-group" }, h("h2", { class: "cut" }), h("span", { class: "muted small w-group-count" }));
    const [title, count] = /** @type {[HTMLElement, HTMLElement]} */ (/** @type {unknown} */ (element.children));
    const key = `${job_id} ${job_name} ${hostname}`;
    if (element.dataset["of"] !== key) {
      element.dataset["of"] = key;
      replace(title, h("a", { href: jobUrl(job_id, hostname) }, icon("jobs"), foreign(`Job ${job_id}${job_name ? ` · ${cut(job_name, 80)[0]}` : ""}`)), h("span", { class: "muted" }, " on ", foreign(hostname)));
    }
    const fired = watchers.reduce((sum, watcher) => sum + watcher.trigger_count, 0);
    setText(count, `${plural(watchers.length, "watcher")}, fired ${plural(fired, "time")}`);
    return element;
  }
}

/** @param {Watcher[]} watchers */
function byJob(watchers) {
  /** @type {Map<string, Watcher[]>} */
  const groups = new Map();
  for (const watcher of watchers) {
    const key = jobKey(watcher.job_id, watcher.hostname);
    const those = groups.get(key);
    if (those) those.push(watcher);
    else groups.set(key, [watcher]);
  }
  return groups;
}

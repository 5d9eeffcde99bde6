// @ts-check
// The window in which the lines of an output are seen: rows in view, their numbers as links, wrapped or not.
import { h } from "../lib/dom.js";
import { virtualList } from "../lib/virtual.js";
import { marked } from "./visible.js";

/** @typedef {import("./lines.js").Row} Row */

/** Px of a row that is not wrapped; as css/output.css has it, in proportion to the letters that somebody chose. */
export const ROW = 1.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
/** Characters that a row shows; the server cuts at 4,096 bytes. */
const SHOWN = 4096;

export class LineList {
  /** @type {RegExp | null} what is marked */
  sought = null;
  /** Byte offset of the line that was jumped to. */
  current = -1;
  /** @type {import("../lib/virtual.js").VirtualList | null} */
  #list = null;

  /**
   * @param {import("./lines.js").Lines} lines
   * @param {string} label
   * @param {{chosen: (row: Row) => void, whole: (row: Row) => void}} on a line's number, or its "show all", was pressed
   */
  constructor(lines, label, on) {
    this.lines = lines;
    this.on = on;
    this.frame = h("div", { class: "output", tabindex: "0", role: "region", "aria-label": label });
    this.wrapped = matchMedia("(max-width: 700px)").matches;
    this.frame.classList.toggle("wrapped", this.wrapped);
  }

  /**
   * Draw what is here; where lines came or went in front, those in view stay where they are.
   * @param {number | null} moved rows that came in front; negative: went; null: all is new
   */
  show(moved) {
    const anchor = moved ? this.top() : null;
    const list = this.#made();
    list.refresh();
    if (!anchor || !moved) return;
    list.scrollTo(anchor.index + moved);
    this.frame.scrollTop -= anchor.top;
  }

  /** The first row in view, and how far below the edge it begins; null: nothing is here. */
  top() {
    const edge = this.frame.getBoundingClientRect().top;
    for (const row of this.frame.querySelectorAll(".virtual-row")) {
      const box = row.getBoundingClientRect();
      if (box.bottom > edge + 1) return { index: Number(/** @type {HTMLElement} */ (row).dataset["index"]), top: box.top - edge };
    }
    return null;
  }

  /** Px of lines above what is in view, and below it. */
  ends() {
    const { scrollTop, scrollHeight, clientHeight } = this.frame;
    return { top: scrollTop, below: scrollHeight - scrollTop - clientHeight };
  }

  /** @param {number} index */
  scrollTo(index) {
    this.#made().scrollTo(index);
    this.frame.scrollTop -= this.frame.clientHeight / 3;
  }

  /** Rows that are measured only when they are drawn may make it longer: it is gone to the end until it stays there. */
  bottom() {
    const { frame } = this;
    this.#made().scrollTo(this.lines.rows.length - 1);
    for (let tries = 0, height = -1; tries < 5 && height !== frame.scrollHeight; tries++) {
      height = frame.scrollHeight;
      frame.scrollTop = height;
    }
  }

  /** @param {boolean} on */
  wrap(on) {
    const at = this.top()?.index ?? 0;
    this.stop();
    this.wrapped = on;
    this.frame.classList.toggle("wrapped", on);
    this.#made().scrollTo(at);
  }

  stop() {
    this.#list?.stop();
    this.#list = null;
  }

  #made() {
    if (this.#list) return this.#list;
    const { lines } = this;
    const height = this.wrapped ? { estimate: ROW } : { rowHeight: ROW };
    this.#list = virtualList(this.frame, {
      ...height, role: "list", count: () => lines.rows.length, key: (at) => lines.rows[at].offset, render: (at) => this.#row(lines.rows[at]),
    });
    return this.#list;
  }

  /** @param {Row} row */
  #row(row) {
    const known = row.number !== null;
    const { stream } = this.lines.of;
    const address = `${location.pathname}?stream=${stream}&${known ? `line=${row.number}` : `offset=${row.offset}`}`;
    const press = (/** @type {MouseEvent} */ event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.on.chosen(row);
    };
    const label = known ? `Link to line ${row.number}` : "Link to this line";
    const link = h("a", { class: "line-number", href: address, tabindex: "-1", "aria-label": label, onClick: press }, known ? String(row.number) : "·");
    const text = h("bdi", { class: "line-text", dir: "auto" }, ...marked(row.text.slice(0, SHOWN), this.sought));
    const whole = row.cut ? h("button", { type: "button", class: "button small show-all", onClick: () => this.on.whole(row) }, "Show all") : null;
    return h("div", { class: row.offset === this.current ? "line current" : "line" }, link, text, whole);
  }
}

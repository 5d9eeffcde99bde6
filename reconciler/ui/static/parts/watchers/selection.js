// @ts-check
// Which watchers are selected, and the bar that does something to all of them.
import { h, icon, setText } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { many } from "./acting.js";

/** @typedef {import("../../types").Watcher} Watcher */

export class Selection {
  /** @type {Set<number>} */
  #ids = new Set();
  /** @type {number | null} the one that was selected last, where a range begins */
  #last = null;

  /**
   * @param {() => Watcher[]} shown
   * @param {() => void} changed
   */
  constructor(shown, changed) {
    this.shown = shown;
    this.changed = changed;
    this.text = h("strong", { "aria-live": "polite" });
    this.all = this.#button("Select all shown", () => this.#all());
    this.element = h("div", { class: "selection", role: "region", "aria-label": "Selection", hidden: true },
      this.text, this.all,
      h("span", { class: "row wrap right" },
        this.#button("Pause", () => this.#do("pause"), "pause"),
        this.#button("Resume", () => this.#do("resume"), "play"),
        this.#button("Delete", () => this.#do("delete"), "trash", "danger"),
        this.#button("Clear", () => this.clear(), "close", "ghost")));
    this.keys = (/** @type {KeyboardEvent} */ event) => this.#key(event);
    document.addEventListener("keydown", this.keys);
  }

  stop() {
    document.removeEventListener("keydown", this.keys);
  }

  /** @param {number} id */
  has(id) {
    return this.#ids.has(id);
  }

  /**
   * @param {number} id
   * @param {boolean} on
   * @param {boolean} range all from the last one on
   */
  set(id, on, range) {
    const ids = range && this.#last !== null ? this.#between(this.#last, id) : [id];
    for (const each of ids) {
      if (on) this.#ids.add(each);
      else this.#ids.delete(each);
    }
    this.#last = id;
    this.changed();
  }

  clear() {
    this.#ids.clear();
    this.changed();
  }

  /**
   * Only what is there can be selected.
   * @param {(id: number) => boolean} there
   */
  keep(there) {
    for (const id of this.#ids) if (!there(id)) this.#ids.delete(id);
  }

  draw() {
    const shown = this.shown();
    this.element.hidden = this.#ids.size === 0;
    if (this.#ids.size === 0) return;
    setText(this.text, `${plural(this.#ids.size, "watcher")} selected`);
    setText(this.all, `Select all ${shown.length} shown`);
    this.all.hidden = shown.every((watcher) => this.#ids.has(watcher.id));
  }

  #all() {
    for (const watcher of this.shown()) this.#ids.add(watcher.id);
    this.changed();
  }

  /** @param {"pause" | "resume" | "delete"} action */
  async #do(action) {
    for (const id of await many(action, [...this.#ids])) this.#ids.delete(id);
    this.changed();
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  #between(from, to) {
    const ids = this.shown().map((watcher) => watcher.id);
    const [low, high] = [ids.indexOf(from), ids.indexOf(to)].sort((a, b) => a - b);
    return low < 0 ? [to] : ids.slice(low, high + 1);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape" && this.#ids.size > 0 && !document.querySelector("dialog[open]")) this.clear();
  }

  /**
   * @param {string} name
   * @param {() => void} run
   * @param {Parameters<typeof icon>[0]} [picture]
   * @param {string} [kind]
   */
  #button(name, run, picture, kind = "") {
    return h("button", { type: "button", class: `button small ${kind}`, onClick: run }, picture ? icon(picture) : null, name);
  }
}

// @ts-check
// What an address says of a place in an output, what is said above it or in its place, and its keys.
import { h, replace } from "../lib/dom.js";
import { emptyState } from "../lib/states.js";
import { visible } from "./visible.js";

/**
 * Where an address says that one wants to be.
 * @param {URLSearchParams} query
 */
export function place(query) {
  const whole = (/** @type {string} */ name) => (/^\d{1,15}$/.test(query.get(name) ?? "") ? Number(query.get(name)) : null);
  return { offset: whole("offset"), line: whole("line") || null };
}

/**
 * @param {{sight: string, reason: string}} lines
 * @param {boolean} ended
 */
export function nothing({ sight, reason }, ended) {
  const text = sight === "failed" ? `The file cannot be read: ${visible(reason)}.` : sight === "missing"
    ? `The file is not there${ended ? " (any more)" : " yet. A job makes it when it begins to run"}.` : "The file is empty.";
  return emptyState({ title: "Nothing is printed", text: ended ? text : `${text} It is looked at again and again.` });
}

/**
 * Let keys do something while the window of lines itself has the focus.
 * @param {HTMLElement} frame
 * @param {Record<string, () => void>} table
 */
export function keys(frame, table) {
  frame.addEventListener("keydown", (event) => {
    const run = table[event.key];
    if (!run || event.target !== frame || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    run();
  });
}

/** What is said above an output. */
export class Notice {
  element = h("div", { class: "output-notice", role: "status" });
  #text = "";

  /**
   * Say something for a while; what is bad stays.
   * @param {string} text
   * @param {boolean} [bad]
   */
  say(text, bad = false) {
    this.#text = text;
    this.show(h("p", { class: bad ? "notice bad" : "notice" }, text));
    if (!bad) window.setTimeout(() => this.#text === text && this.element.textContent === text && replace(this.element), 8000);
  }

  /** What was bad is no more. */
  well() {
    if (this.element.querySelector(".notice.bad")) replace(this.element);
  }

  /** @param {Node} content */
  show(content) {
    replace(this.element, content);
  }

  /**
   * Why there is nothing; null: there is something.
   * @param {Node | null} why
   */
  state(why) {
    const shown = this.element.querySelector(".state");
    if (why && shown?.textContent !== why.textContent) this.show(why);
    else if (!why && shown) replace(this.element);
  }
}

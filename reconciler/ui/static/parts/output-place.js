// @ts-check
// What an address says of a place in an output, what is shown where it has nothing, and its keys.
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

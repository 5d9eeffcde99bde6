// @ts-check
// Text of logs as people can see all of it: what has no form, or turns the order of what follows, is shown by a sign.
import { h } from "../lib/dom.js";

// Controls but for the tab; what embeds, overrides or isolates directions (Unicode Standard Annex 9).
const UNSEEN = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * @param {string} text
 * @returns {string}
 */
export function visible(text) {
  return text.replace(UNSEEN, (each) => {
    const code = each.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** @typedef {{text: string, regex: boolean, ignoreCase: boolean}} Query */

/**
 * What marks the places of a query in a line; null: nothing does, here. The server's matcher decides what is found, this
 * only shows where.
 * @param {Query | null} query
 * @returns {RegExp | null}
 */
export function marker(query) {
  if (!query || query.text === "") return null;
  const source = query.regex ? query.text : query.text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  try {
    const made = new RegExp(source, query.ignoreCase ? "giu" : "gu");
    return made.test("") ? null : made;
  } catch {
    return null;
  }
}

/** Marks in one line, at most: a line of a kind that has more is no message. */
const MARKS = 200;

/**
 * The text of a line, with `mark` around what was looked for.
 * @param {string} text
 * @param {RegExp | null} sought
 * @returns {(Node | string)[]}
 */
export function marked(text, sought) {
  if (!sought) return [visible(text)];
  /** @type {(Node | string)[]} */
  const parts = [];
  let at = 0;
  sought.lastIndex = 0;
  for (let hit = sought.exec(text); hit && parts.length < 2 * MARKS; hit = sought.exec(text)) {
    if (hit[0] === "") {
      sought.lastIndex += 1;
      continue;
    }
    parts.push(visible(text.slice(at, hit.index)), h("mark", null, visible(hit[0])));
    at = hit.index + hit[0].length;
  }
  parts.push(visible(text.slice(at)));
  return parts;
}

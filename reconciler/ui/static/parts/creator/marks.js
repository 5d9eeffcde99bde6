// @ts-check
// Lines with what was found in them marked. Offsets of the API are bytes; the document has UTF-16.
import { h } from "../../lib/dom.js";

/** @typedef {{offset: number, text: string, line: number}} Found */

const BYTES = new TextEncoder();
/** Characters of a line that are shown. */
const MOST = 2000;

/**
 * Rows for lines that were sent joined by "\n", what was found in them marked.
 * @param {string[]} lines
 * @param {readonly Found[]} matches
 * @returns {HTMLElement[]}
 */
export function marked(lines, matches) {
  const spans = spansOf(lines, matches);
  return lines.map((line, at) => h("div", { class: spans[at].length ? "sample-line hit" : "sample-line" }, h("bdi", null, pieces(line, spans[at]))));
}

/**
 * Start and end in characters of what was found, by line.
 * @param {string[]} lines
 * @param {readonly Found[]} matches
 * @returns {[number, number][][]}
 */
export function spansOf(lines, matches) {
  /** @type {[number, number][][]} */
  const spans = lines.map(() => []);
  const starts = [0];
  for (const line of lines) starts.push(starts[starts.length - 1] + BYTES.encode(line).length + 1);
  for (const match of matches) {
    let at = Math.max(0, findLine(starts, match.offset));
    let from = characters(lines[at] ?? "", match.offset - starts[at]);
    for (const part of match.text.split("\n")) {
      if (at >= lines.length) break;
      spans[at].push([from, Math.min(lines[at].length, from + part.length)]);
      at += 1;
      from = 0;
    }
  }
  return spans;
}

/**
 * The line that holds a byte.
 * @param {number[]} starts
 * @param {number} offset
 */
function findLine(starts, offset) {
  let low = 0;
  let high = starts.length - 1;
  while (low < high - 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * How many characters so many bytes of a text are.
 * @param {string} line
 * @param {number} bytes
 */
function characters(line, bytes) {
  if (bytes <= 0) return 0;
  const into = new Uint8Array(bytes);
  return BYTES.encodeInto(line, into).read ?? 0;
}

/**
 * @param {string} line
 * @param {[number, number][]} spans
 */
function pieces(line, spans) {
  const shown = line.length > MOST ? `${line.slice(0, MOST)}…` : line;
  /** @type {(string | HTMLElement)[]} */
  const made = [];
  let at = 0;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (from < at || from >= shown.length || to <= from) continue;
    made.push(shown.slice(at, from), h("mark", null, shown.slice(from, to)));
    at = to;
  }
  return [...made, shown.slice(at) || (made.length ? "" : "\u200b")];
}

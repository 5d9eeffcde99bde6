// @ts-check
// A dialog with a line that is too long for its row, read in pieces.
import { get, isAbort } from "../lib/api.js";
import { openDialog, toast } from "../lib/dialog.js";
import { h, setText } from "../lib/dom.js";
import { bytes } from "../lib/format.js";
import { errorText } from "../lib/states.js";
import { visible } from "./visible.js";

/** Bytes that are read at once; whoever wants more asks again. */
const PIECE = 256 * 1024;

/**
 * @param {import("./lines.js").Lines} lines
 * @param {import("./lines.js").Row} row
 */
export function showWhole(lines, row) {
  const text = h("pre", { class: "whole-line", tabindex: "0", "aria-label": "The whole line", dir: "auto" });
  const told = h("p", { class: "muted small", role: "status" });
  const more = h("button", { type: "button", class: "button small", onClick: () => void read() }, "Show more");
  let at = row.offset;
  const end = row.offset + row.bytes;
  const read = async () => {
    more.disabled = true;
    try {
      const answer = await get(lines.base, { ...lines.named, offset: at, limit: Math.min(PIECE, Math.max(1, end - at)) }, lines.signal);
      text.append(visible(stripped(answer.text.replace(/[\r\n]+$/, ""))));
      at = answer.next_offset > at ? answer.next_offset : end;
    } catch (error) {
      if (isAbort(error)) return;
      toast(errorText(error), "bad");
    }
    more.disabled = false;
    more.hidden = at >= end;
    setText(told, `${bytes(Math.min(at, end) - row.offset)} of ${bytes(row.bytes)} are shown.`);
  };
  const title = row.number === null ? "The whole line" : `Line ${row.number}`;
  openDialog({ title, body: [told, text, h("div", null, more)], wide: true });
  void read();
}

// As the server takes them out of lines (ECMA-48): colours, cursor, titles, links.
const SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()*+][0-9A-B]|[=>78cDEHM])/g;

/** @param {string} text */
function stripped(text) {
  return text.replace(SEQUENCE, "");
}

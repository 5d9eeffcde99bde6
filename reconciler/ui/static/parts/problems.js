// @ts-check
// What is wrong in files: the place, the line itself with a caret under it, and what to do.
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { coded, place } from "./places.js";
import { visible } from "./visible.js";

/** @typedef {import("../views").Problem} Problem */

/** Problems that are shown at once. */
const SHOWN = 100;

/**
 * @param {Problem[]} problems
 * @returns {Node[]}
 */
export function problemCards(problems) {
  const sorted = [...problems].sort((a, b) => Number(b.severity === "error") - Number(a.severity === "error"));
  const cards = sorted.slice(0, SHOWN).map(card);
  if (sorted.length > SHOWN) cards.push(h("article", { class: "muted" }, `and ${number(sorted.length - SHOWN)} more: `, h("code", null, "reconcile validate"), " shows all of them"));
  return cards;
}

/** @param {Problem} problem */
function card(problem) {
  const bad = problem.severity === "error";
  return h("article", { class: `card problem ${bad ? "bad" : "warn"}` },
    h("p", { class: "row wrap" }, h("span", { class: `chip ${bad ? "bad" : "warn"}` }, `${problem.severity}: ${problem.code}`), place.file(problem.file, problem.line, problem.column)),
    h("p", { class: "strong" }, ...coded(problem.message)),
    problem.excerpt ? excerpt(problem) : null,
    problem.remedy ? h("p", null, h("span", { class: "muted" }, "What to do: "), ...coded(problem.remedy)) : null);
}

/** @param {Problem} problem */
function excerpt({ excerpt: text, excerpt_column: column, line }) {
  const margin = `${line} | `;
  const shown = visible(text);
  const before = visible(text.slice(0, Math.max(0, column - 1)));
  const caret = column > 0 ? `\n${" ".repeat(margin.length)}${before.replace(/[^\t]/g, " ")}^` : "";
  return h("pre", { class: "code-block excerpt", tabindex: "0", role: "group", "aria-label": `Line ${line}` }, h("span", { class: "muted" }, margin), shown, h("span", { class: "caret", "aria-hidden": "true" }, caret));
}

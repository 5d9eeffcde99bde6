// @ts-check
// Where things are: links to jobs, files with lines, commits.
import { foreign, h } from "../lib/dom.js";
import { jobUrl } from "../lib/format.js";
import { visible } from "./visible.js";

/** @param {{job_id: string, hostname: string}} of */
export function jobLink(of) {
  return h("a", { class: "nowrap", href: jobUrl(of.job_id, of.hostname) }, of.job_id, h("span", { class: "muted" }, "@", foreign(of.hostname)));
}

export const place = {
  /**
   * `watchers.d/loss.yaml:12:3`; the line breaks between folders.
   * @param {string} file
   * @param {number} [line] 0: the whole file
   * @param {number} [column]
   */
  file(file, line = 0, column = 0) {
    return h("code", { class: "path" }, foreign(visible(file)), [line, column].filter(Boolean).map((each) => `:${each}`).join(""));
  },

  /** @param {string} revision */
  revision(revision) {
    return h("code", { title: revision }, revision.slice(0, 12) || "none");
  },
};

/**
 * Text for people in which `code` stands between backticks.
 * @param {string} text
 * @returns {Node[]}
 */
export function coded(text) {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return [foreign(visible(text))];
  return parts.map((part, at) => (at % 2 ? h("code", null, foreign(visible(part))) : foreign(visible(part))));
}

// @ts-check
// A search through all of an output: the server goes through it in bounded parts, this asks on, and keeps what was found.
import { get, isAbort } from "../lib/api.js";

/** @typedef {import("../views").Found} Found */
/** @typedef {import("./visible.js").Query} Query */

/** Lines found, and bytes gone through, until a person says whether to go on. */
const MANY = 2000;
const FAR = 64 * 1024 * 1024;

export class Finder {
  /** @type {Query | null} */
  query = null;
  /** @type {Found[]} */
  found = [];
  /** The found line that was jumped to; -1: none yet. */
  at = -1;
  /** @type {"idle" | "running" | "paused" | "done" | "failed"} */
  state = "idle";
  /** @type {unknown} */
  error = null;
  reached = 0;
  size = 0;
  /** @type {AbortController | null} */
  #running = null;
  #place = { offset: 0, line: 1, inside: false };

  /**
   * @param {import("./lines.js").Lines} lines what is searched
   * @param {() => void} changed called whenever there is something new to show
   */
  constructor(lines, changed) {
    this.lines = lines;
    this.changed = changed;
    lines.signal.addEventListener("abort", () => this.#running?.abort());
  }

  /**
   * Look for something else; null: for nothing.
   * @param {Query | null} query
   */
  start(query) {
    this.#running?.abort();
    this.query = query && query.text !== "" ? query : null;
    this.found = [];
    this.at = -1;
    this.error = null;
    this.reached = 0;
    this.#place = { offset: 0, line: 1, inside: false };
    this.state = "idle";
    this.changed();
    if (this.query) void this.more();
  }

  /** Go on: after a pause, or because the output has grown. */
  async more() {
    const query = this.query;
    if (!query || this.state === "running") return;
    const running = (this.#running = new AbortController());
    this.state = "running";
    this.changed();
    const until = { found: this.found.length + MANY, offset: this.#place.offset + FAR };
    try {
      let done = false;
      while (!done && this.found.length < until.found && this.#place.offset < until.offset) {
        done = await this.#part(query, running.signal);
        this.changed();
      }
      this.state = done ? "done" : "paused";
    } catch (error) {
      if (isAbort(error) || running.signal.aborted) return;
      this.state = "failed";
      this.error = error;
    }
    this.changed();
  }

  /** The output has more than what was gone through to its end: look at the rest of it. */
  grown() {
    if (this.state === "done" && this.lines.size > this.reached) void this.more();
  }

  /**
   * The found line to go to next.
   * @param {1 | -1} direction
   * @param {number} from offset of the line one is at, where no found one was chosen yet
   * @returns {Found | null}
   */
  step(direction, from) {
    const count = this.found.length;
    if (count === 0) return null;
    if (this.at < 0) {
      const next = this.found.findIndex((each) => each.offset >= from);
      this.at = direction > 0 ? (next < 0 ? 0 : next) : (next < 0 ? count : next) - 1;
      this.at = (this.at + count) % count;
    } else {
      this.at = (this.at + direction + count) % count;
    }
    return this.found[this.at];
  }

  /**
   * @param {Query} query
   * @param {AbortSignal} signal
   */
  async #part(query, signal) {
    const { lines } = this;
    const asked = { ...lines.named, text: query.text, regex: query.regex, ignore_case: query.ignoreCase, ...this.#place, limit: 1000 };
    /** @type {import("../views").FoundList} */
    const answer = await get(`${lines.base}/search`, asked, signal);
    const known = this.found[this.found.length - 1]?.offset ?? -1;
    this.found.push(...answer.found.filter((each) => each.offset > known));
    this.size = answer.size;
    this.reached = answer.next_offset;
    this.#place = { offset: answer.next_offset, line: answer.next_line, inside: answer.next_inside };
    return answer.done;
  }
}

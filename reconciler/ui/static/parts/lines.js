// @ts-check
// A part of one output, as lines that follow each other: it grows at both ends, and is let go of where it gets too long.
import { get } from "../lib/api.js";

/** @typedef {import("../views").Line & {number: number | null}} Row */
/** @typedef {import("../views").Lines} Answer */

/** Lines that are kept at most, and asked for at once. */
const MOST = 60_000;
const AT_ONCE = 2000;
/** Bytes before the part that are counted through for its line numbers without being asked. */
const COUNTED = 48 * 1024 * 1024;

export class Lines {
  /** @type {Row[]} */
  rows = [];
  size = 0;
  path = "";
  /** @type {Answer["sight"]} */
  sight = "read";
  reason = "";
  /** Times that another file stood behind the path, or it was cut. */
  renewed = 0;
  #file = "";
  #next = 0;
  #run = 0;
  /** @type {{offset: number, line: number} | null} */
  #known = null;

  /**
   * @param {{host: string, id: string, stream: import("../views").Stream}} of
   * @param {AbortSignal} signal
   * @param {number} [most] lines that are kept
   */
  constructor(of, signal, most = MOST) {
    this.of = of;
    this.signal = signal;
    this.most = most;
  }

  /** Where all endpoints of this output stand. */
  get base() {
    return `/api/jobs/${encodeURIComponent(this.of.id)}/output`;
  }

  /** What names the output in every request. */
  get named() {
    return { hostname: this.of.host, stream: this.of.stream };
  }

  get atStart() {
    return this.rows.length === 0 || this.rows[0].offset === 0;
  }

  get atEnd() {
    return this.#next >= this.size || !this.rows[this.rows.length - 1]?.whole;
  }

  /** So many lines are here that others must go for more to come. */
  get full() {
    return this.rows.length > this.most - AT_ONCE;
  }

  /** Bytes that are there and not here yet. */
  get behind() {
    return Math.max(0, this.size - this.#next);
  }

  /** The last lines, in place of what is here. */
  tail() {
    return this.#anew({});
  }

  /** The first lines, in place of what is here. */
  head() {
    return this.#anew({ offset: 0 });
  }

  /**
   * The line that holds a byte and those around it; what is here stays where it holds it. Returns the row's index.
   * @param {number} offset
   */
  async around(offset) {
    if (this.index(offset) < 0) await this.#anew({ around: offset });
    return this.index(offset);
  }

  /**
   * Take lines in front; returns how many came. Where there are too many, the last ones go.
   * @returns {Promise<number>}
   */
  async before() {
    if (this.atStart) return 0;
    const run = this.#run;
    const first = this.rows[0].offset;
    const answer = await this.#ask({ before: first });
    if (run !== this.#run || answer.lines.length === 0 || this.rows[0]?.offset !== first) return 0;
    this.rows = [...answer.lines.map(row), ...this.rows];
    if (this.rows.length > this.most) {
      this.rows.length = this.most;
      const last = this.rows[this.most - 1];
      this.#next = last.offset + last.bytes;
    }
    this.#number();
    return answer.lines.length;
  }

  /**
   * Take what follows. Returns how many lines came and how many had to go in front; `renewed`: it is another file now.
   * @returns {Promise<{came: number, went: number, renewed: boolean}>}
   */
  async after() {
    const run = this.#run;
    const answer = await this.#ask({ offset: this.#next });
    if (run !== this.#run) return { came: 0, went: 0, renewed: false };
    if (this.#other(answer)) {
      this.renewed += 1;
      this.#known = null;
      await this.tail();
      return { came: this.rows.length, went: 0, renewed: true };
    }
    this.#take(answer);
    const kept = this.rows.findIndex((each) => each.offset >= answer.offset);
    const before = this.rows.length;
    const known = kept < 0 ? this.rows : this.rows.slice(0, kept);
    const changed = answer.lines.length > before - known.length || answer.lines[0]?.bytes !== this.rows[kept]?.bytes;
    this.rows = [...known, ...answer.lines.map(row)];
    const went = Math.max(0, this.rows.length - this.most);
    this.#number();
    if (went) this.rows.splice(0, went);
    return { came: changed && answer.lines.length ? Math.max(1, this.rows.length + went - before) : 0, went, renewed: false };
  }

  /**
   * The row that holds a byte; -1: none that is here.
   * @param {number} offset
   */
  index(offset) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const each = this.rows[middle];
      if (offset < each.offset) high = middle - 1;
      else if (offset >= each.offset + Math.max(1, each.bytes)) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  /**
   * Where line `number` begins; null: there are not so many. It counts from the nearest line that is known.
   * @param {number} number
   * @returns {Promise<number | null>}
   */
  async offsetOf(number) {
    const here = this.rows.find((each) => each.number === number);
    if (here) return here.offset;
    const last = this.rows[this.rows.length - 1];
    const from = last?.number && last.number < number ? { offset: last.offset, line: last.number } : { offset: 0, line: 1 };
    const place = await this.#walk({ until_line: number }, from, Infinity);
    if (!place || place.line < number || (place.line === number && place.offset >= this.size && this.size > 0)) return null;
    this.#known = { offset: place.offset, line: place.line };
    this.#number();
    return place.offset;
  }

  /** Find out the numbers of the lines, where that is not too much; returns whether they are known. */
  async count() {
    const first = this.rows[0];
    if (!first || first.number !== null) return Boolean(first);
    if (first.offset > COUNTED) return false;
    const run = this.#run;
    const place = await this.#walk({ until_offset: first.offset }, { offset: 0, line: 1 }, COUNTED);
    if (run !== this.#run || place?.offset !== first.offset) return false;
    this.#known = { offset: place.offset, line: place.line };
    this.#number();
    return true;
  }

  /**
   * Say which number a line has, as a search found it.
   * @param {number} offset
   * @param {number} line
   */
  know(offset, line) {
    this.#known = { offset, line };
    this.#number();
  }

  /**
   * @param {Record<string, number>} wanted
   * @param {{offset: number, line: number}} from
   * @param {number} most bytes
   * @returns {Promise<import("../views").Place | null>}
   */
  async #walk(wanted, from, most) {
    const end = from.offset + most;
    for (let at = from; at.offset <= end; ) {
      const place = await get(`${this.base}/place`, { ...this.named, ...wanted, offset: at.offset, line: at.line }, this.signal);
      this.size = Math.max(this.size, place.size);
      if (place.done) return place;
      at = place;
    }
    return null;
  }

  /** @param {Record<string, number>} place */
  async #anew(place) {
    const run = ++this.#run;
    const answer = await this.#ask(place);
    if (run !== this.#run) return;
    this.#run += 1; // what was asked for meanwhile belongs to what was here before
    if (this.#file !== answer.file) this.#known = null;
    this.#take(answer);
    this.rows = answer.lines.map(row);
    this.#number();
  }

  /**
   * @param {Record<string, number>} place
   * @returns {Promise<Answer>}
   */
  #ask(place) {
    return get(`${this.base}/lines`, { ...this.named, ...place, limit: AT_ONCE }, this.signal);
  }

  /** @param {Answer} answer */
  #other(answer) {
    return this.#file !== "" && answer.file !== "" && (answer.file !== this.#file || answer.size < this.#next);
  }

  /** @param {Answer} answer */
  #take(answer) {
    this.size = answer.size;
    this.path = answer.path;
    this.sight = answer.sight;
    this.reason = answer.reason;
    this.#file = answer.file || this.#file;
    this.#next = answer.next_offset;
  }

  /** Number the rows from one whose number is known; a piece of a very long line counts with that line. */
  #number() {
    const rows = this.rows;
    if (rows.length === 0) return;
    if (rows[0].offset === 0) this.#known = { offset: 0, line: 1 };
    const at = this.#known ? this.index(this.#known.offset) : -1;
    if (!this.#known || at < 0) return;
    rows[at].number = this.#known.line;
    for (let i = at + 1; i < rows.length; i++) rows[i].number = /** @type {number} */ (rows[i - 1].number) + (rows[i - 1].whole ? 1 : 0);
    for (let i = at - 1; i >= 0; i--) rows[i].number = /** @type {number} */ (rows[i + 1].number) - (rows[i].whole ? 1 : 0);
    const middle = rows[rows.length >> 1];
    this.#known = { offset: middle.offset, line: /** @type {number} */ (middle.number) };
  }
}

/**
 * @param {import("../views").Line} line
 * @returns {Row}
 */
function row(line) {
  return { ...line, number: null };
}

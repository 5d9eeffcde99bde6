// @ts-check
// Going places in an output, which takes a while: only to the last of those that somebody wanted is gone.
import { isAbort } from "../lib/api.js";
import { toast } from "../lib/dialog.js";
import { errorText } from "../lib/states.js";

/** @typedef {import("./lines.js").Row} Row */
/**
 * @typedef {object} Place
 * @property {import("./lines.js").Lines} lines
 * @property {import("./line-list.js").LineList} list
 * @property {import("./output-place.js").Notice} notice
 * @property {(on: boolean) => void} follow
 * @property {(row: Row) => void} mark the address shall say that one is here
 */

export class Journey {
  going = false;
  /** One was made to its end. */
  arrived = false;
  #last = 0;

  /**
   * @param {Place} place
   * @param {AbortSignal} signal
   */
  constructor(place, signal) {
    this.place = place;
    this.signal = signal;
  }

  /**
   * Go; what keeps it from being done is said.
   * @param {(way: Way) => Promise<void>} run
   * @param {(error: unknown) => void} [failed]
   */
  async go(run, failed = (error) => toast(errorText(error), "bad")) {
    const number = ++this.#last;
    const wanted = () => number === this.#last && !this.signal.aborted;
    this.going = true;
    try {
      await run(new Way(this, wanted));
      this.arrived = true;
    } catch (error) {
      if (wanted() && !isAbort(error)) failed(error);
    }
    if (number === this.#last) this.going = false;
  }

  /** Find out the numbers of the lines, and show them. */
  async number() {
    const known = await this.place.lines.count().catch(() => false);
    if (known && !this.signal.aborted) this.place.list.show(0);
  }
}

class Way {
  /**
   * @param {Journey} journey
   * @param {() => boolean} wanted nobody wants to go elsewhere by now
   */
  constructor(journey, wanted) {
    this.journey = journey;
    this.wanted = wanted;
  }

  /** @param {boolean} follow */
  async end(follow) {
    const { lines, list, ...place } = this.journey.place;
    if (!lines.atEnd || lines.rows.length === 0) {
      await lines.tail();
      if (!this.wanted()) return;
      list.show(null);
      void this.journey.number();
    }
    place.follow(follow);
    list.bottom();
  }

  async start() {
    const { lines, list, follow } = this.journey.place;
    follow(false);
    if (!lines.atStart) {
      await lines.head();
      if (!this.wanted()) return;
      list.show(null);
    }
    list.frame.scrollTop = 0;
  }

  /** @param {number} line */
  async line(line) {
    const { lines, notice } = this.journey.place;
    const offset = await lines.offsetOf(line);
    if (!this.wanted()) return;
    if (offset === null) return notice.say(`There is no line ${line} (yet).`);
    await this.offset(offset);
  }

  /**
   * @param {number} offset
   * @param {number} [line] its number, where that is known
   */
  async offset(offset, line) {
    const { lines, list, notice, follow, mark } = this.journey.place;
    follow(false);
    const before = lines.rows;
    const at = await lines.around(offset);
    if (!this.wanted()) return;
    if (at < 0) return notice.say("That place is not there (any more): the output was cut or written anew.");
    const row = lines.rows[at];
    list.current = row.offset;
    list.show(before === lines.rows ? 0 : null);
    list.scrollTo(at);
    if (line !== undefined) lines.know(offset, line);
    else if (row.number === null) await lines.count().catch(() => false);
    if (this.wanted()) mark(row);
  }
}

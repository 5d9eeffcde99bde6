// @ts-check
// When an output is looked at again: soon while lines come or its job does something, else less and less often.
import { live } from "../lib/live.js";

/** Ms between two looks: at first, and where nothing comes; where much is there; and after something happened. */
const SOON = 1000;
const LATE = 10_000;
const AT_ONCE = 50;
const HINTED = 200;

export class Pace {
  #wait = SOON;
  #timer = 0;
  #due = Infinity;

  /**
   * @param {() => Promise<{came: number, behind: boolean}>} look
   * @param {{ended: () => boolean, of: {host: string, id: string}, signal: AbortSignal}} what `ended`: one look more is enough
   */
  constructor(look, { ended, of, signal }) {
    this.look = look;
    this.ended = ended;
    this.signal = signal;
    const hint = (/** @type {any} */ { event }) => event?.job_id === of.id && event.hostname === of.host && this.soon(HINTED);
    const off = [live.on("event", hint), live.on("watcher_event", hint)];
    signal.addEventListener("abort", () => {
      clearTimeout(this.#timer);
      for (const each of off) each();
    });
  }

  /** @param {number} [wait] ms */
  soon(wait = 0) {
    this.#wait = SOON;
    this.#arm(wait);
  }

  /** Look again although nothing may be due any more: something failed. */
  later() {
    this.#arm(this.#wait);
  }

  /**
   * What is due sooner stays so, however much happens.
   * @param {number} wait
   */
  #arm(wait) {
    if (this.signal.aborted || Date.now() + wait >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = Date.now() + wait;
    this.#timer = window.setTimeout(() => void this.#run(), wait);
  }

  async #run() {
    this.#due = Infinity;
    const last = this.ended();
    if (document.hidden && !last) return this.#arm(SOON);
    const { came, behind } = await this.look();
    this.#wait = came ? SOON : Math.min(LATE, this.#wait * 1.5);
    if (!last || came) this.#arm(behind ? AT_ONCE : this.#wait);
  }
}

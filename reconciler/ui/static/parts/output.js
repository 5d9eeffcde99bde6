// @ts-check
// One output of a job: only the lines in view are in the document, more are read at either end, its end is followed.
import { isAbort } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { errorState, errorText } from "../lib/states.js";
import { Bar } from "./output-bar.js";
import { Finder } from "./finder.js";
import { Journey } from "./journey.js";
import { LineList, ROW } from "./line-list.js";
import { Lines } from "./lines.js";
import { keys, Notice, nothing, place } from "./output-place.js";
import { Pace } from "./pace.js";
import { marker } from "./visible.js";
import { showWhole } from "./whole-line.js";

/** @typedef {import("../types").Context} Context */

/** Bytes behind the end from which whoever follows is brought to it. */
const FAR = 1_000_000;
/** Ms in which a scroll is a person's, who leaves the end. */
const GESTURE = 1500;
/** Px from an end at which more is read. */
const NEAR = 1200;

export class OutputView {
  /** @type {Bar} */
  #bar;
  /** @type {Lines} */
  #lines;
  /** @type {Finder} */
  #finder;
  /** @type {LineList} */
  #list;
  #pace;
  #notice = new Notice();
  #following = false;
  #reading = false;
  /** Something was asked for while another reading went on. */
  #missed = false;
  #journey;
  /** When a person last did something that may scroll. */
  #moved = 0;

  /**
   * @param {{host: string, id: string, stream: import("../views").Stream, label: string}} of
   * @param {Context} ctx
   * @param {() => boolean} ended whether nothing more will be printed
   * @param {AbortSignal} signal
   */
  constructor(of, ctx, ended, signal) {
    this.ctx = ctx;
    this.ended = ended;
    this.signal = signal;
    this.#lines = new Lines(of, signal);
    this.#pace = new Pace(() => this.#poll(), { ended, of, signal });
    this.#finder = new Finder(this.#lines, () => this.#bar.found(this.#finder));
    this.#list = new LineList(this.#lines, `Output, ${of.label}`, { chosen: (row) => this.#mark(row), whole: (row) => showWhole(this.#lines, row) });
    this.#journey = new Journey({ lines: this.#lines, list: this.#list, notice: this.#notice, follow: (on) => this.#follow(on), mark: (row) => this.#mark(row) }, signal);
    const query = { text: ctx.query.get("q") ?? "", regex: ctx.query.get("regex") === "1", ignoreCase: ctx.query.get("case") !== "1" };
    this.#bar = new Bar({
      follow: (on) => (on ? this.#journey.go((way) => way.end(true)) : this.#follow(false)),
      wrap: () => this.#wrap(),
      line: (line) => this.#journey.go((way) => way.line(line)),
      search: (wanted) => this.#search(wanted),
      step: (direction) => this.#step(direction),
      choose: (at) => this.#choose(at),
      more: () => void this.#finder.more(),
    }, { wrap: this.#list.wrapped, query });
    const { frame } = this.#list;
    frame.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    keys(frame, {
      Home: () => this.#journey.go((way) => way.start()),
      End: () => this.#journey.go((way) => way.end(!this.ended())),
      n: () => this.#step(1),
      N: () => this.#step(-1),
      f: () => this.#journey.go((way) => way.end(true)),
      w: () => this.#wrap(),
      "/": () => this.#bar.text.focus(),
    });
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) frame.addEventListener(kind, () => void (this.#moved = Date.now()), { passive: true });
    this.element = h("section", { class: "output-view" }, this.#bar.element, this.#notice.element, frame, this.#bar.foot);
    signal.addEventListener("abort", () => this.#list.stop());
    this.query = query.text ? query : null;
  }

  /** Show it, where the address says, else its end. */
  async start() {
    await this.#begin();
    if (this.query) this.#search(this.query);
    this.#pace.soon(1000);
  }

  /** Where that fails, it is tried again. */
  async #begin() {
    const { offset, line } = place(this.ctx.query);
    await this.#journey.go(async (way) => {
      if (offset !== null) await way.offset(offset);
      else if (line !== null) await way.line(line);
      if (this.#lines.rows.length === 0) await way.end(!this.ended());
    }, (error) => {
      this.#notice.show(errorState(error, () => void this.#begin()));
      this.#pace.later();
    });
    if (this.#journey.arrived) this.#told();
  }

  /** Look for more now: the job did something, or ended. */
  look() {
    this.#pace.soon();
  }

  async #poll() {
    const lines = this.#lines;
    if (!this.#journey.arrived) {
      if (!this.#journey.going) await this.#begin();
      return { came: 0, behind: false };
    }
    const wanted = this.#following || (lines.atEnd && !lines.full); // what somebody reads must not go for what comes
    const came = wanted || lines.rows.length === 0 ? await this.#more() : 0;
    await this.#reach();
    return { came, behind: came > 0 && this.#following && lines.behind > 0 };
  }

  /** Read on at an end that is near what is in view. */
  async #reach() {
    const { top, below } = this.#list.ends();
    if (top < NEAR) await this.#earlier();
    if (below < NEAR && !this.#lines.atEnd) await this.#more();
  }

  /** Take what follows; returns how many lines came. */
  #more() {
    return this.#read(async () => {
      const { came, went, renewed } = await this.#lines.after();
      if (this.signal.aborted) return 0;
      if (renewed) this.#finder.start(this.#finder.query); // what was found before is no more
      if (this.#following && this.#lines.behind > FAR) return this.#leap();
      if (renewed) this.#notice.say("The output was written anew; this is the new one.");
      if (came || renewed) this.#list.show(renewed ? null : -went);
      if (this.#following && came) this.#list.bottom();
      if (came) this.#finder.grown();
      return came;
    });
  }

  #earlier() {
    return this.#lines.atStart ? 0 : this.#read(async () => {
      const came = await this.#lines.before();
      if (came) this.#list.show(came);
      return came;
    });
  }

  /**
   * One reading at a time, the ends are seen to after it; what keeps it from being done is said until one is.
   * @param {() => Promise<number>} work
   */
  async #read(work) {
    if (this.#reading) {
      this.#missed = true;
      return 0;
    }
    this.#reading = true;
    this.#missed = false;
    try {
      const came = await work();
      this.#notice.well();
      return came;
    } catch (error) {
      if (!isAbort(error)) this.#notice.say(`${errorText(error)}; it is tried again.`, true);
      this.#missed = false;
      this.#pace.later();
      return 0;
    } finally {
      this.#reading = false;
      this.#told();
      if (this.#missed) void this.#reach();
    }
  }

  /** It prints faster than all of it can be shown: go on with its newest lines. */
  async #leap() {
    await this.#lines.tail();
    if (this.signal.aborted) return 0;
    this.#list.show(null);
    this.#list.bottom();
    void this.#journey.number();
    return this.#lines.rows.length;
  }

  #told() {
    const { rows } = this.#lines;
    this.#bar.tell(this.#lines, this.ended());
    this.#list.frame.classList.toggle("empty", rows.length === 0);
    this.#notice.state(rows.length === 0 ? nothing(this.#lines, this.ended()) : null);
  }

  /** @param {import("./lines.js").Row} row */
  #mark(row) {
    this.#list.current = row.offset;
    const known = row.number !== null;
    this.ctx.setQuery({ stream: this.#lines.of.stream, line: known ? String(row.number) : null, offset: known ? null : String(row.offset) });
    this.#list.show(0);
  }

  // --- search ---

  /** @param {import("./visible.js").Query | null} query */
  #search(query) {
    this.#list.sought = marker(query);
    this.ctx.setQuery({ q: query?.text ?? null, regex: query?.regex ? "1" : null, case: query && !query.ignoreCase ? "1" : null });
    this.#list.show(0);
    this.#finder.start(query);
  }

  /** @param {1 | -1} direction */
  #step(direction) {
    const from = this.#list.current >= 0 ? this.#list.current : this.#lines.rows[this.#list.top()?.index ?? 0]?.offset ?? 0;
    if (this.#finder.step(direction, from)) this.#choose(this.#finder.at);
  }

  /** @param {number} at */
  #choose(at) {
    const found = this.#finder.found[at];
    if (!found) return;
    this.#finder.at = at;
    this.#bar.found(this.#finder);
    this.#journey.go((way) => way.offset(found.offset, found.line));
  }

  // --- following, scrolling, keys ---

  /** @param {boolean} on */
  #follow(on) {
    this.#following = on;
    this.#bar.setFollow(on);
    if (on) this.look();
  }

  #scrolled() {
    if (this.#following && this.#list.ends().below > 3 * ROW) {
      if (Date.now() - this.#moved < GESTURE) this.#follow(false);
      else this.#list.bottom(); // rows were measured, or the window changed
    }
    void this.#reach();
  }

  #wrap() {
    this.#list.wrap(!this.#list.wrapped);
    this.#bar.setWrap(this.#list.wrapped);
    if (this.#following) this.#list.bottom();
  }
}


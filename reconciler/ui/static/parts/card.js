// @ts-check
// The card of one watcher: what it watches for, how it stands, what can be done. It changes in place.
import { foreign, h, icon, replace, setText } from "../lib/dom.js";
import { ago, cut, duration, jobUrl, moment, number } from "../lib/format.js";
import { pause, resume, trigger } from "./watchers/acting.js";
import { details } from "./watchers/details.js";
import { heldBy, STATES } from "./watchers/words.js";

/** @typedef {import("../types").Watcher} Watcher */
/**
 * @typedef {object} Surroundings what the card is told by the list around it
 * @property {boolean} writes whether pausing and the like are offered
 * @property {(id: number, on: boolean, range: boolean) => void} [select]
 * @property {(id: number) => boolean} [selected]
 * @property {(id: number, open: boolean) => void} [opened]
 * @property {() => void} [gone] called when it was deleted
 * @property {boolean} [withJob] false: what is around it names the job
 */

const SHOWN_ACTIONS = 3;
let made = 0;

export class Card {
  #open = false;
  /** @type {AbortController | null} */
  #details = null;

  /**
   * @param {Watcher} watcher
   * @param {Surroundings} around
   */
  constructor(watcher, around) {
    this.watcher = watcher;
    this.around = around;
    const id = `w${++made}`;
    this.check = h("input", {
      type: "checkbox",
      onClick: (/** @type {MouseEvent} */ event) => around.select?.(this.watcher.id, this.check.checked, event.shiftKey),
    });
    this.state = h("span", { class: "state-word" });
    this.name = h("a", { class: "w-name cut", id, dir: "auto" });
    this.count = h("span", { class: "w-count" });
    this.job = h("p", { class: "w-job cut" });
    this.pattern = h("code", { class: "w-pattern cut", dir: "ltr" });
    this.chips = h("div", { class: "w-chips" });
    this.times = h("p", { class: "w-times cut" });
    this.buttons = h("div", { class: "w-buttons" });
    this.body = h("div", { class: "w-body", id: `${id}-body`, hidden: true });
    this.expander = h("button", {
      type: "button", class: "button ghost small icon-only", "aria-expanded": false, "aria-controls": `${id}-body`,
      onClick: () => this.toggle(!this.#open),
    }, icon("down"));
    this.element = h("article", { class: "card watcher", "aria-labelledby": id },
      h("div", { class: "w-head" }, around.select ? this.check : null, this.state, h("h3", { class: "grow cut" }, this.name), this.count, this.expander),
      around.withJob === false ? null : this.job,
      this.pattern,
      this.times,
      h("div", { class: "w-foot" }, this.chips, this.buttons),
      this.body);
    this.#draw();
  }

  get open() {
    return this.#open;
  }

  /**
   * Take a new value; nothing happens where it is the same.
   * @param {Watcher} watcher
   */
  update(watcher) {
    this.#mark();
    if (watcher === this.watcher) return;
    const fired = watcher.trigger_count !== this.watcher.trigger_count;
    this.watcher = watcher;
    this.#draw();
    if (this.#open) this.#fill(fired);
  }

  /** Let the times be those of now. */
  tick() {
    const { last_check, next_check, interval_seconds, state } = this.watcher;
    const next = state === "active" && next_check && Date.parse(next_check) > Date.now() ? ` · next ${ago(next_check)}` : "";
    setText(this.times, `every ${duration(interval_seconds)} · ${last_check ? `read ${ago(last_check)}` : "not read yet"}${next}`);
    const due = this.chips.querySelector(".w-due");
    if (due) setText(due, this.#due());
  }

  /** @param {boolean} open */
  toggle(open) {
    if (open === this.#open) return;
    this.#open = open;
    this.expander.setAttribute("aria-expanded", String(open));
    this.#name();
    this.element.classList.toggle("open", open);
    this.body.hidden = !open;
    this.#fill(true);
    this.around.opened?.(this.watcher.id, open);
  }

  /** @param {boolean} fired what happened last is asked for again */
  #fill(fired) {
    if (fired || !this.#open) this.#details?.abort();
    if (!this.#open) return replace(this.body);
    if (fired) this.#details = new AbortController();
    details(this.body, this.watcher, { ...this.around, signal: /** @type {AbortController} */ (this.#details).signal, fired });
  }

  #draw() {
    const { watcher } = this;
    const [word, colour, meaning] = STATES[watcher.state] ?? [watcher.state, "", ""];
    const held = heldBy(watcher);
    this.element.dataset["state"] = watcher.state;
    this.state.className = `state-word ${colour}`;
    this.state.title = held ? `${meaning} (${held})` : meaning;
    if (this.state.textContent !== word) replace(this.state, h("span", { class: "dot", "aria-hidden": "true" }), word);
    if (this.name.textContent !== watcher.name) {
      setText(this.name, watcher.name);
      this.name.href = `/watchers/${watcher.id}`;
      this.name.title = cut(watcher.name, 300)[0];
    }
    setText(this.count, `${number(watcher.trigger_count)}×`);
    this.count.title = watcher.last_trigger ? `It fired ${watcher.trigger_count} times, last on ${moment(watcher.last_trigger)}` : "It has not fired yet";
    this.count.classList.toggle("none", watcher.trigger_count === 0);
    this.#jobLine();
    setText(this.pattern, cut(watcher.pattern || "(no pattern)", 300)[0]);
    this.pattern.title = cut(watcher.pattern, 1000)[0];
    this.#chips();
    this.#buttons();
    this.#name();
    this.#mark();
    this.tick();
  }

  #name() {
    const short = cut(this.watcher.name, 100)[0];
    this.expander.setAttribute("aria-label", `${this.#open ? "Hide" : "Show"} details of ${short}`);
    this.check.setAttribute("aria-label", `Select ${short}`);
  }

  #mark() {
    const on = this.around.selected?.(this.watcher.id) ?? false;
    this.check.checked = on;
    this.element.classList.toggle("selected", on);
  }

  #jobLine() {
    const { job_id, job_name, hostname } = this.watcher;
    const text = `Job ${job_id}${job_name ? ` · ${cut(job_name, 80)[0]}` : ""}`;
    if (this.job.dataset["of"] === text + hostname) return;
    this.job.dataset["of"] = text + hostname;
    replace(this.job, h("a", { href: jobUrl(job_id, hostname) }, foreign(text)), h("span", { class: "muted" }, " on ", foreign(hostname)));
  }

  #due() {
    const due = this.watcher.timer_due;
    return due && Date.parse(due) > Date.now() ? `timer ${ago(due)}` : "timer runs";
  }

  #chips() {
    const { actions, mode, timer_mode_active, timer_mode_enabled, last_error, failures } = this.watcher;
    const key = JSON.stringify([actions.map((a) => a.type), mode, timer_mode_active, timer_mode_enabled, last_error, failures]);
    if (this.chips.dataset["of"] === key) return;
    this.chips.dataset["of"] = key;
    const more = actions.length - SHOWN_ACTIONS;
    replace(this.chips,
      last_error ? h("span", { class: "chip bad", title: cut(last_error, 300)[0] }, icon("warning"), failures > 1 ? `${number(failures)} failures` : "error") : null,
      mode !== "act" ? h("span", { class: "chip info", title: "It says what it would do, and does nothing" }, foreign(mode)) : null,
      timer_mode_active ? h("span", { class: "chip accent w-due", title: "Its actions run by the clock" }, this.#due())
        : timer_mode_enabled ? h("span", { class: "chip", title: "Once it fires, its actions run by the clock" }, "timer") : null,
      actions.slice(0, SHOWN_ACTIONS).map((action) => h("span", { class: "chip" }, foreign(action.type))),
      more > 0 ? h("span", { class: "chip" }, `+${more}`) : null);
  }

  #buttons() {
    const { state } = this.watcher;
    if (!this.around.writes) return replace(this.buttons);
    const still = state === "paused" || state === "disabled" || state === "triggered";
    const key = `${still} ${state === "completed" || state === "static" || state === "stopped"} ${this.watcher.name}`;
    if (this.buttons.dataset["of"] === key) return;
    const focused = [...this.buttons.children].indexOf(/** @type {any} */ (document.activeElement));
    this.buttons.dataset["of"] = key;
    const over = state === "completed" || state === "static" || state === "stopped";
    const act = still ? this.#button("Resume", "play", () => resume(this.watcher)) : this.#button("Pause", "pause", () => pause(this.watcher), over);
    const id = this.watcher.id;
    replace(this.buttons, act,
      this.#button("Trigger", "bolt", () => trigger(this.watcher), state === "completed"),
      this.#link("Edit", "edit", `/edit/${id}`),
      this.#link("Copy", "copy", `/new?copy=${id}`));
    if (focused >= 0) /** @type {HTMLElement} */ (this.buttons.children[focused])?.focus();
  }

  /**
   * @param {string} verb
   * @param {Parameters<typeof icon>[0]} picture
   * @param {() => Promise<void>} run
   * @param {boolean} [off]
   */
  #button(verb, picture, run, off = false) {
    const name = `${verb} ${cut(this.watcher.name, 100)[0]}`;
    // Of a double click the first half counts: another button may stand there by the second.
    const once = (/** @type {MouseEvent} */ event) => event.detail < 2 && void run();
    return h("button", { type: "button", class: "button ghost small icon-only", "aria-label": name, title: verb, disabled: off, onClick: once }, icon(picture));
  }

  /**
   * @param {string} verb
   * @param {Parameters<typeof icon>[0]} picture
   * @param {string} href
   */
  #link(verb, picture, href) {
    return h("a", { class: "button ghost small icon-only", href, "aria-label": `${verb} ${cut(this.watcher.name, 100)[0]}`, title: verb }, icon(picture));
  }
}

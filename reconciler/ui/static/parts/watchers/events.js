// @ts-check
// What happened, the newest first: filtered, older pages on request, new ones as they come.
import { get, isAbort } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { h, icon, replace } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { live } from "../../lib/live.js";
import { emptyState, errorState, loading } from "../../lib/states.js";
import { virtualList } from "../../lib/virtual.js";
import { eventRow } from "./eventrow.js";

/** @typedef {import("../../types").WatcherEvent} WatcherEvent */

const PAGE = 100;
/** Events that are kept in the page; the oldest of more are let go, and come back with "older". */
const MOST = 2000;
const CALM = 200;

/**
 * Names of filters, and which types they mean.
 * @type {[string, string, (type: string) => boolean][]}
 */
const KINDS = [
  ["actions", "Actions", (type) => type.startsWith("reconciler.action.")],
  ["triggers", "Triggers", (type) => type.startsWith("reconciler.watcher.triggered")],
  ["failures", "Failures", (type) => FAILURES.includes(type)],
  ["all", "Everything", () => true],
];
const FAILURES = ["action.failed", "action.refused", "action.interrupted", "watcher.disabled", "source.rejected", "host.unreachable", "condition.failed"].map((name) => `reconciler.${name}.v1`);

/**
 * @param {HTMLElement} root
 * @param {import("../../types").Context} ctx
 * @param {HTMLElement | null} tools where there is room for a button; null: the events of one watcher, below it
 */
export async function show(root, ctx, tools) {
  const list = new Events(root, ctx, tools);
  ctx.signal.addEventListener("abort", () => list.stop());
  await list.load();
}

class Events {
  /** @type {WatcherEvent[]} the newest first */
  #events = [];
  /** @type {WatcherEvent[]} that came while somebody was reading further down */
  #waiting = [];
  /** @type {string | null} */
  #cursor = null;
  #timer = 0;
  #run = 0;
  /** A page is on its way; what comes meanwhile waits for it. */
  #asking = false;
  #loaded = false;
  /** @type {unknown} */
  #error = null;
  kinds = h("div", { class: "segments", role: "group", "aria-label": "Which events" });
  news = h("div", { class: "news", "aria-live": "polite" });
  frame = h("div", { class: "events" });
  empty = h("div", null, loading("Events are being loaded…"));
  older = h("button", { type: "button", class: "button", hidden: true, onClick: () => void this.load(true) }, "Show older events");

  /**
   * @param {HTMLElement} root
   * @param {import("../../types").Context} ctx
   * @param {HTMLElement | null} tools
   */
  constructor(root, ctx, tools) {
    this.ctx = ctx;
    this.kind = KINDS.some(([name]) => name === ctx.query.get("kind")) ? String(ctx.query.get("kind")) : "actions";
    this.#build(root, tools);
    this.list = virtualList(this.frame, { count: () => this.#events.length, render: (i, before) => before ?? eventRow(this.#events[i], tools !== null), key: (i) => this.#events[i].id, estimate: 62, role: "list" });
    const take = (/** @type {{event: WatcherEvent}} */ message) => this.#happened(message.event);
    const back = (/** @type {{status: string}} */ { status }) => status === "connected" && this.#error !== null && void this.load();
    this.offs = [live.on("event", take), live.on("watcher_event", take), live.on("status", back), live.on("refetch", () => void this.load()), live.on("initial", () => this.#loaded && void this.load())];
    live.start();
    this.scrolled = () => this.#waiting.length > 0 && !this.#reading() && this.#letIn();
    window.addEventListener("scroll", this.scrolled, { passive: true });
  }

  stop() {
    this.offs.forEach((off) => off());
    this.list.stop();
    clearTimeout(this.#timer);
    window.removeEventListener("scroll", this.scrolled);
  }

  /** Ask for the newest page; with `older`, for the one after what is here. */
  async load(older = false) {
    const run = ++this.#run;
    this.older.disabled = this.#asking = true;
    try {
      const page = await get("/api/watchers/events", this.#query(older), this.ctx.signal);
      if (run !== this.#run) return;
      const known = new Set((older ? this.#events : []).map((event) => event.id));
      this.#events = [...(older ? this.#events : []), ...page.events.filter((/** @type {WatcherEvent} */ each) => !known.has(each.id))];
      const newest = this.#events[0]?.id ?? 0;
      this.#waiting = this.#waiting.filter((event) => event.id > newest && this.#fits(event)); // they came while it was read
      this.#cursor = page.next_cursor;
      this.#error = null;
      this.#loaded = true;
    } catch (error) {
      if (isAbort(error) || run !== this.#run) return;
      this.#error = error;
    }
    this.older.disabled = this.#asking = false;
    if (this.#waiting.length) this.#soon();
    this.#draw();
  }

  /** @param {boolean} older */
  #query(older) {
    const { query } = this.ctx;
    const [type, all] = this.kind === "all" ? [[], true] : this.kind === "triggers" ? [["reconciler.watcher.triggered.v1"], null] : this.kind === "failures" ? [FAILURES, null] : [[], null];
    return { limit: PAGE, cursor: older ? this.#cursor : null, type, all, watcher_id: query.get("watcher_id"), job_id: query.get("job_id"), hostname: query.get("hostname"), watcher: query.get("watcher"), since: query.get("since") };
  }

  /** @param {WatcherEvent} event */
  #happened(event) {
    if (!this.#fits(event) || this.#events[0]?.id >= event.id) return;
    this.#waiting.unshift(event);
    this.#waiting.length = Math.min(this.#waiting.length, MOST);
    if (this.#loaded) this.#soon();
  }

  #soon() {
    this.#timer ||= window.setTimeout(() => this.#arrived(), CALM);
  }

  #arrived() {
    this.#timer = 0;
    if (this.#reading()) this.#said();
    else this.#letIn();
  }

  #letIn() {
    if (this.#asking) return;
    const newest = this.#events[0]?.id ?? 0;
    this.#events = [...this.#waiting.filter((event) => event.id > newest), ...this.#events];
    this.#waiting = [];
    if (this.#events.length > MOST) {
      this.#events.length = MOST;
      this.#cursor = String(this.#events[MOST - 1].id);
    }
    this.#draw();
  }

  /** @param {WatcherEvent} event */
  #fits(event) {
    const { query } = this.ctx;
    const is = (/** @type {string} */ name, /** @type {string | number | null} */ value) => !query.get(name) || query.get(name) === String(value);
    const kind = KINDS.find(([name]) => name === this.kind);
    return Boolean(kind?.[2](event.type)) && is("watcher_id", event.watcher_id) && is("job_id", event.job_id) && is("hostname", event.hostname) && is("watcher", event.watcher_name);
  }

  #reading() {
    return this.frame.getBoundingClientRect().top < -60;
  }

  // --- around the list ---

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement | null} tools
   */
  #build(root, tools) {
    replace(this.kinds, KINDS.map(([name, title]) =>
      h("button", { type: "button", dataset: { kind: name }, "aria-pressed": name === this.kind, onClick: () => this.#show(name) }, title)));
    if (tools) replace(tools, h("button", { type: "button", class: "button", onClick: () => void this.load() }, icon("refresh"), "Refresh"));
    root.append(h("div", { class: "e-bar" }, this.kinds, tools ? this.#fields() : null), this.news, this.empty, this.frame, h("div", { class: "row" }, this.older));
  }

  /** Fields that narrow; the page asks once typing pauses. */
  #fields() {
    const names = /** @type {const} */ ([["watcher", "Watcher"], ["job_id", "Job id"], ["hostname", "Host"]]);
    const fields = names.map(([name, label]) => {
      const field = h("input", { type: "search", id: `e-${name}`, value: this.ctx.query.get(name) ?? "", autocomplete: "off", spellcheck: "false" });
      const change = debounce(() => this.#narrow({ [name]: field.value.trim() }), 300);
      field.addEventListener("input", () => change());
      return h("div", { class: "field" }, h("label", { for: `e-${name}` }, label), field);
    });
    const id = this.ctx.query.get("watcher_id");
    const clear = h("button", { type: "button", class: "chip", "aria-label": `Only watcher ${id}: show all watchers`, onClick: () => (clear.remove(), this.#narrow({ watcher_id: "" })) }, `only watcher ${id}`, icon("close"));
    return h("div", { class: "e-fields" }, fields, id ? clear : null);
  }

  /** @param {Record<string, string>} words */
  #narrow(words) {
    for (const [name, value] of Object.entries(words)) value ? this.ctx.query.set(name, value) : this.ctx.query.delete(name);
    this.ctx.setQuery(words);
    void this.load();
  }

  /** @param {string} kind */
  #show(kind) {
    this.kind = kind;
    this.ctx.setQuery({ kind: kind === "actions" ? null : kind });
    for (const button of this.kinds.children) button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset["kind"] === kind));
    void this.load();
  }

  #said() {
    replace(this.news, this.#waiting.length ? h("button", { type: "button", class: "button small primary", onClick: () => this.#toTop() }, `Show ${plural(this.#waiting.length, "new event")}`) : null);
  }

  #toTop() {
    window.scrollTo({ top: 0 });
    this.#letIn();
  }

  #draw() {
    this.list.refresh();
    this.#said();
    this.older.hidden = this.#cursor === null;
    const none = this.#events.length === 0;
    replace(this.empty, this.#error ? errorState(this.#error, () => void this.load()) : !none ? null : this.#nothing());
  }

  #nothing() {
    const narrowed = ["watcher", "job_id", "hostname", "watcher_id"].some((name) => this.ctx.query.get(name));
    return emptyState({
      title: "No events here yet",
      text: narrowed ? "Nothing that fits these fields happened. Empty them, or choose Everything." : "As soon as a watcher fires, what it did stands here.",
    });
  }
}

// @ts-check
// All watchers, kept by id: paged in once from the list, then kept true by what the WebSocket tells.
import { get, isAbort } from "./api.js";
import { live } from "./live.js";

/** @typedef {import("../types").Watcher} Watcher */

/** Most ids in one request. */
const MOST_IDS = 200;
/** Ms until watchers that something happened to are read again, and between two such readings. */
const SOON = 150;
const BETWEEN = 1000;

class Watchers {
  /** @type {Map<number, Watcher>} */
  #byId = new Map();
  /** @type {Watcher[] | null} */
  #sorted = null;
  /** @type {Set<() => void>} */
  #subscribers = new Set();
  /** @type {Set<number>} */
  #dirty = new Set();
  #frame = 0;
  #timer = 0;
  #readAt = 0;
  #run = 0;
  #started = false;
  /** The event up to which the list tells what happened, and the one from which on we are told. */
  #seq = 0;
  #heard = 0;
  /** The whole list is here. */
  loaded = false;
  /** How many there are at the server, as far as is known. */
  total = 0;
  /** @type {unknown} what kept the list from being loaded; null: nothing */
  error = null;

  /** Load the list, unless that was done, and follow what happens. */
  start() {
    if (this.#started) return;
    this.#started = true;
    live.on("event", (message) => this.#happened(message.event));
    live.on("watcher_event", (message) => this.#happened(message.event));
    live.on("watcher_state_change", (message) => this.#changed(message.watcher_id, message.state));
    live.on("watcher_deleted", (message) => this.#remove(message.watcher_id));
    live.on("refetch", () => void this.reload());
    live.on("initial", (message) => {
      this.#heard = message.seq;
      if (this.loaded) this.#catchUp();
    });
    live.start();
    void this.reload();
  }

  /** Those that are here, the newest first. The list is the store's own: do not change it. */
  all() {
    this.#sorted ??= [...this.#byId.values()].sort((a, b) => b.id - a.id);
    return this.#sorted;
  }

  /** @param {number} id */
  get(id) {
    return this.#byId.get(id);
  }

  /**
   * Be called when something changed, at most once in a frame; returns how to stop.
   * @param {() => void} subscriber
   * @returns {() => void}
   */
  subscribe(subscriber) {
    this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  /** Read the whole list again; what is shown stays until the new one is here. */
  async reload() {
    const run = ++this.#run;
    const known = new Set(this.#byId.keys());
    this.error = null;
    try {
      const outline = await get("/api/watchers/outline");
      if (run !== this.#run) return;
      const before = this.#byId;
      this.#byId = new Map(outlined(outline, before).map((watcher) => [watcher.id, watcher]));
      for (const [id, watcher] of before) if (!known.has(id) && !this.#byId.has(id)) this.#byId.set(id, watcher); // it came meanwhile
      this.#sorted = null;
      this.total = outline.total;
      this.loaded = true;
      this.#seq = outline.seq;
      this.#catchUp();
    } catch (error) {
      if (run !== this.#run || isAbort(error)) return;
      this.error = error;
    }
    this.#tell();
  }

  /** What happened between the list and the connection is in neither. */
  #catchUp() {
    if (this.#heard <= this.#seq) return;
    this.#seq = this.#heard;
    void this.reload();
  }

  /**
   * Read these again, soon; those that are gone leave the list.
   * @param {Iterable<number>} ids
   */
  touch(ids) {
    for (const id of ids) this.#dirty.add(id);
    if (this.#timer || this.#dirty.size === 0) return;
    const wait = Math.max(SOON, this.#readAt + BETWEEN - Date.now());
    this.#timer = window.setTimeout(() => void this.#read(), wait);
  }

  /**
   * Take what an answer of the API said of a watcher.
   * @param {Watcher} watcher
   */
  take(watcher) {
    this.#put(watcher);
    this.#tell();
  }

  /** @param {import("../types").WatcherEvent} event */
  #happened(event) {
    if (event.watcher_id === null || event.type.startsWith("reconciler.watcher.stopped")) return;
    const known = this.#byId.get(event.watcher_id);
    if (known && event.type.startsWith("reconciler.watcher.triggered")) {
      const trigger_count = event.data["trigger_count"] ?? known.trigger_count;
      const variables = { ...known.variables, ...event.captured_vars };
      this.take({ ...known, trigger_count, variables, last_trigger: event.timestamp, last_check: event.timestamp });
    } else if (!known || !event.type.startsWith("reconciler.action.succeeded") || known.last_error) {
      this.touch([event.watcher_id]);
    }
  }

  async #read() {
    const ids = [...this.#dirty].slice(0, MOST_IDS);
    this.#readAt = Date.now();
    for (const id of ids) this.#dirty.delete(id);
    try {
      const page = await get("/api/watchers", { id: ids, limit: ids.length });
      const found = new Set(page.watchers.map((/** @type {Watcher} */ each) => each.id));
      for (const watcher of page.watchers) this.#put(watcher);
      for (const id of ids) if (!found.has(id)) this.#byId.delete(id), (this.#sorted = null);
      this.#tell();
    } catch {
      // the next event, refresh or reconnection reads them again
    }
    this.#timer = 0;
    this.touch([]);
  }

  /**
   * @param {number} id
   * @param {Watcher["state"]} state
   */
  #changed(id, state) {
    const known = this.#byId.get(id);
    if (!known) return this.touch([id]);
    if (known.state === state) return;
    this.#put({ ...known, state });
    this.#tell();
  }

  /** @param {number} id */
  #remove(id) {
    this.#dirty.delete(id);
    if (!this.#byId.delete(id)) return;
    this.#sorted = null;
    this.#tell();
  }

  /** @param {Watcher} watcher */
  #put(watcher) {
    const known = this.#byId.has(watcher.id);
    this.#byId.set(watcher.id, watcher);
    if (!known || !this.#sorted) this.#sorted = null;
    else this.#sorted[place(this.#sorted, watcher.id)] = watcher;
  }

  #tell() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      for (const subscriber of [...this.#subscribers]) subscriber();
    });
  }
}

/**
 * Watchers from an outline. What it does not tell is as it was, or empty; `brief` says so until they are read by themselves.
 * @param {import("../types").Outline} outline
 * @param {Map<number, Watcher>} before
 * @returns {Watcher[]}
 */
function outlined({ columns, rows, specs }, before) {
  const [id, name] = [columns.indexOf("id"), columns.indexOf("name")];
  /** @type {Map<string, any>} what watchers of one spec have in common: made once, there are very many of them */
  const common = new Map();
  return rows.map((row) => {
    let shared = common.get(row[name]);
    if (!shared) common.set(row[name], (shared = { ...NOTHING, ...specs[row[name]] }));
    const known = before.get(row[id]);
    const watcher = known ? { ...known, ...specs[row[name]] } : { ...shared };
    columns.forEach((column, at) => (watcher[column] = row[at]));
    watcher.timer_mode_active = Boolean(watcher.timer_mode_active);
    watcher.brief = true;
    return watcher;
  });
}

/** @type {any} */
const NOTHING = {
  pattern: "", interval_seconds: 60, captures: [], condition: null, actions: [], timer_mode_enabled: false, timer_interval_seconds: 30,
  output_type: "stdout", mode: "act", labels: {}, description: "", source: "", file: "", line: 0, commit: "", writable: false,
  next_check: null, timer_due: null, last_position: 0, created_at: "", variables: {}, holds: [],
};

/**
 * Where an id stands in a list by falling ids, by halving.
 * @param {Watcher[]} sorted
 * @param {number} id
 */
function place(sorted, id) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle].id > id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const watchers = new Watchers();

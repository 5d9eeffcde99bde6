// @ts-check
// All watchers, kept by id: paged in once from the list, then kept true by what the WebSocket tells.
import { ApiError, get, isAbort } from "./api.js";
import { live } from "./live.js";

/** @typedef {import("../types").Watcher} Watcher */
/** @typedef {Map<number, Partial<Watcher> | null>} News */

/** Most ids in one request. */
const MOST_IDS = 200;
/** Ms until watchers that something happened to are read again, between two such readings, and after one that failed. */
const SOON = 150;
const BETWEEN = 1000;
const AFTER_FAILURE = 3000;

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
  /** When the next reading may be. */
  #next = 0;
  #run = 0;
  /**
   * For each request that is on its way: what was told of watchers since it was sent, which its answer may not know; null: it is gone.
   * @type {Set<News>}
   */
  #ways = new Set();
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
    live.on("status", ({ status }) => status === "connected" && this.error !== null && void this.reload());
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
      const [outline, news] = await this.#ask(() => get("/api/watchers/outline"));
      if (run !== this.#run) return;
      const before = this.#byId;
      this.#byId = new Map();
      for (const watcher of outlined(outline, before)) if (news.get(watcher.id) !== null) this.#byId.set(watcher.id, withNews(watcher, news));
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
    const wait = Math.max(SOON, this.#next - Date.now());
    this.#timer = window.setTimeout(() => void this.#read(), wait);
  }

  /**
   * Take what an answer of the API said of a watcher.
   * @param {Watcher} watcher
   */
  take(watcher) {
    this.#hear(watcher.id, watcher);
    this.#put(watcher);
    this.#tell();
  }

  /**
   * Send a request, and keep what is told until its answer is here.
   * @template T
   * @param {() => Promise<T>} request
   * @returns {Promise<[T, News]>}
   */
  async #ask(request) {
    /** @type {News} */
    const news = new Map();
    this.#ways.add(news);
    try {
      return [await request(), news];
    } finally {
      this.#ways.delete(news);
    }
  }

  /**
   * @param {number} id
   * @param {Partial<Watcher> | null} told
   */
  #hear(id, told) {
    for (const news of this.#ways) news.set(id, told && { ...news.get(id), ...told });
  }

  /** @param {import("../types").WatcherEvent} event */
  #happened(event) {
    if (event.watcher_id === null || event.type.startsWith("reconciler.watcher.stopped")) return;
    const known = this.#byId.get(event.watcher_id);
    if (known && event.type.startsWith("reconciler.watcher.triggered")) {
      const trigger_count = event.data["trigger_count"] ?? known.trigger_count;
      const variables = { ...known.variables, ...event.captured_vars };
      const told = { trigger_count, variables, last_trigger: event.timestamp, last_check: event.timestamp };
      this.#hear(known.id, told);
      this.#put({ ...known, ...told });
      this.#tell();
    } else if (!known || !event.type.startsWith("reconciler.action.succeeded") || known.last_error) {
      this.touch([event.watcher_id]);
    }
  }

  async #read() {
    const ids = [...this.#dirty].slice(0, MOST_IDS);
    this.#next = Date.now() + BETWEEN;
    for (const id of ids) this.#dirty.delete(id);
    try {
      const [page, news] = await this.#ask(() => get("/api/watchers", { id: ids, limit: ids.length }));
      const found = new Set(page.watchers.map((/** @type {Watcher} */ each) => each.id));
      for (const watcher of page.watchers) if (news.get(watcher.id) !== null) this.#put(withNews(watcher, news));
      for (const id of ids) if (!found.has(id)) this.#byId.delete(id), (this.#sorted = null);
      this.#tell();
    } catch (error) {
      this.#next = Date.now() + AFTER_FAILURE;
      if (!(error instanceof ApiError && error.status === 401)) for (const id of ids) this.#dirty.add(id);
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
    this.#hear(id, { state });
    if (known.state === state) return;
    this.#put({ ...known, state });
    this.#tell();
  }

  /** @param {number} id */
  #remove(id) {
    this.#dirty.delete(id);
    this.#hear(id, null);
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
 * @param {Watcher} watcher
 * @param {News} news
 * @returns {Watcher}
 */
function withNews(watcher, news) {
  const told = news.get(watcher.id);
  return told ? { ...watcher, ...told, variables: { ...watcher.variables, ...told.variables } } : watcher;
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

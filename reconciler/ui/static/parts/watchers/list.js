// @ts-check
// All watchers: searched, filtered, as a grid or by job, with a selection that many things can be done to.
import { debounce } from "../../lib/debounce.js";
import { h, icon, replace } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { rank } from "../../lib/fuzzy.js";
import { emptyState, errorState, loading } from "../../lib/states.js";
import { watchers as store } from "../../lib/store.js";
import { virtualList } from "../../lib/virtual.js";
import { Card } from "../card.js";
import { overview } from "./overview.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { STATES, searchText } from "./words.js";

/** @typedef {import("../../types").Watcher} Watcher */

/** Ms between two drawings that news cause, and between two readings of what is in view. */
const CALM = 250;
const REREAD = 15_000;
/** Ms that typing must pause. */
const PAUSE = 150;

/**
 * @param {HTMLElement} root
 * @param {import("../../types").Context} ctx
 * @param {HTMLElement} tools
 */
export async function show(root, ctx, tools) {
  const list = new List(root, ctx, tools);
  ctx.signal.addEventListener("abort", () => list.stop());
  store.start();
  list.refresh();
}

class List {
  /** @type {Map<number, Card>} */
  #cards = new Map();
  /** @type {Set<number>} */
  #open = new Set();
  /** @type {Watcher[]} */
  #shown = [];
  /** Ids above it came while somebody was reading further down; they wait. */
  #newest = Infinity;
  /** The highest id when the list was drawn last. */
  #top = 0;
  #timers = [0, 0, 0];
  search = h("input", { type: "search", placeholder: "Search job, name, host, pattern, label", "aria-label": "Search watchers", autocomplete: "off", spellcheck: "false" });
  filters = h("div", { class: "row wrap filters", role: "group", "aria-label": "Filter by state" });
  views = h("div", { class: "segments", role: "group", "aria-label": "View" });
  news = h("div", { class: "news", "aria-live": "polite" });
  empty = h("div");
  frame = h("div", { class: "w-list" });
  status = h("p", { class: "visually-hidden", role: "status" });

  /**
   * @param {HTMLElement} root
   * @param {import("../../types").Context} ctx
   * @param {HTMLElement} tools
   */
  constructor(root, ctx, tools) {
    this.ctx = ctx;
    this.query = this.search.value = ctx.query.get("q") ?? "";
    this.state = ctx.query.get("state") ?? "";
    this.view = ctx.query.get("view") === "jobs" ? "jobs" : "grid";
    this.writes = ctx.session.scope !== "read";
    this.overview = overview(ctx, () => this.#shown.length === 0 && this.#said(0));
    this.selection = new Selection(() => this.#shown, () => this.refresh());
    this.rows = new Rows((watcher, withJob) => this.#card(watcher, withJob), this.selection);
    this.#build(root, tools);
    this.list = virtualList(this.frame, { count: () => this.rows.count, render: (i, before) => this.rows.render(i, before), key: (i) => this.rows.key(i), estimate: (i) => this.rows.estimate(i), gap: 12, role: "list" });
    const draw = debounce(() => this.refresh(), PAUSE);
    this.search.addEventListener("input", () => draw());
    this.off = store.subscribe(() => this.#news());
    this.sizes = new ResizeObserver(() => this.rows.fit(this.frame.clientWidth) && this.refresh());
    this.sizes.observe(this.frame);
    this.scrolled = () => this.#newest < Infinity && !this.#reading() && this.#letIn();
    window.addEventListener("scroll", this.scrolled, { passive: true });
    this.#timers[0] = window.setInterval(() => document.hidden || this.#cards.forEach((card) => card.tick()), 1000);
    this.#timers[1] = window.setInterval(() => document.hidden || store.touch(this.#inView(() => true)), REREAD);
  }

  stop() {
    this.off();
    this.list.stop();
    this.sizes.disconnect();
    this.selection.stop();
    window.removeEventListener("scroll", this.scrolled);
    this.#timers.forEach((timer) => clearInterval(timer));
    for (const card of this.#cards.values()) card.toggle(false);
  }

  /** Work out what is to be seen, and draw it. */
  refresh() {
    clearTimeout(this.#timers[2]);
    this.#timers[2] = 0;
    this.query = this.search.value.trim();
    this.ctx.setQuery({ q: this.query, state: this.state, view: this.view === "jobs" ? "jobs" : null });
    const known = store.all();
    const here = this.#newest === Infinity ? known : known.filter((watcher) => watcher.id <= this.#newest);
    this.#top = here[0]?.id ?? 0;
    const found = rank(this.query, here, searchText);
    this.#filters(found);
    this.#shown = found.filter((watcher) => fits(watcher, this.state));
    this.rows.lay(this.#shown, this.view === "jobs");
    const active = document.activeElement;
    this.list.refresh();
    if (active instanceof HTMLElement && active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
    this.#forget();
    this.#said(known.length - here.length);
    store.touch(this.#inView((watcher) => Boolean(watcher.brief)));
    this.selection.keep((id) => store.get(id) !== undefined);
    this.selection.draw();
    this.overview.draw();
  }

  #news() {
    if (this.#newest === Infinity && this.#top > 0 && (store.all()[0]?.id ?? 0) > this.#top && this.#reading()) this.#newest = this.#top;
    if (!this.#timers[2]) this.#timers[2] = window.setTimeout(() => this.refresh(), store.loaded ? CALM : 0);
  }

  /** Whether somebody looks at what stands further down, which new ones at the top must not push away. */
  #reading() {
    return window.scrollY > this.frame.getBoundingClientRect().top + window.scrollY + 60;
  }

  /** @param {(watcher: Watcher) => boolean} wanted */
  #inView(wanted) {
    return [...this.#cards.values()].filter((card) => card.element.isConnected && wanted(card.watcher)).map((card) => card.watcher.id);
  }

  #letIn() {
    this.#newest = Infinity;
    this.refresh();
  }

  /**
   * @param {Watcher} watcher
   * @param {boolean} withJob
   */
  #card(watcher, withJob) {
    let card = this.#cards.get(watcher.id);
    if (card && card.around.withJob === withJob) {
      card.update(watcher);
      return card.element;
    }
    card = new Card(watcher, {
      writes: this.writes, withJob,
      select: this.writes ? (id, on, range) => this.selection.set(id, on, range) : undefined,
      selected: (id) => this.selection.has(id),
      opened: (id, open) => void (open ? this.#open.add(id) : this.#open.delete(id)),
    });
    this.#cards.set(watcher.id, card);
    if (this.#open.has(watcher.id)) card.toggle(true);
    return card.element;
  }

  /** Cards that left the document are let go; whether they were open is remembered. */
  #forget() {
    for (const [id, card] of this.#cards) if (!card.element.isConnected && this.#cards.size > 200) this.#cards.delete(id);
  }

  // --- around the list ---

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} tools
   */
  #build(root, tools) {
    const again = h("button", { type: "button", class: "button", onClick: () => this.#reload() }, icon("refresh"), "Refresh");
    replace(tools, again);
    root.append(
      this.overview.element,
      h("div", { class: "w-bar" }, h("div", { class: "search grow" }, icon("search"), this.search), this.views),
      this.filters, this.status, this.news, this.empty, this.frame, this.selection.element);
    this.#drawViews();
  }

  async #reload() {
    this.#newest = Infinity;
    this.overview.reload();
    await store.reload();
  }

  #drawViews() {
    const one = (/** @type {"grid" | "jobs"} */ view, /** @type {string} */ name) =>
      h("button", { type: "button", "aria-pressed": this.view === view, onClick: () => this.#show(view) }, name);
    replace(this.views, one("grid", "Grid"), one("jobs", "By job"));
  }

  /** @param {"grid" | "jobs"} view */
  #show(view) {
    this.view = view;
    for (const [at, button] of [...this.views.children].entries()) button.setAttribute("aria-pressed", String((at === 1) === (view === "jobs")));
    this.refresh();
  }

  /** @param {Watcher[]} found */
  #filters(found) {
    /** @type {Map<string, number>} */
    const counts = new Map([["", found.length]]);
    for (const watcher of found) {
      counts.set(watcher.state, (counts.get(watcher.state) ?? 0) + 1);
      if (watcher.last_error) counts.set("errors", (counts.get("errors") ?? 0) + 1);
    }
    const names = ["", ...Object.keys(STATES), "errors"];
    const shown = names.filter((name) => name === "" || name === "active" || name === "paused" || name === this.state || counts.has(name));
    const key = shown.join();
    if (this.filters.dataset["of"] !== key) {
      this.filters.dataset["of"] = key;
      replace(this.filters, shown.map((name) => h("button", { type: "button", class: "chip", dataset: { state: name }, onClick: () => this.#filter(name) },
        filterName(name), " ", h("span", { class: "count" }))));
    }
    for (const button of this.filters.children) {
      const name = /** @type {HTMLElement} */ (button).dataset["state"] ?? "";
      button.setAttribute("aria-pressed", String(name === this.state));
      replace(/** @type {Element} */ (button.querySelector(".count")), String(counts.get(name) ?? 0));
    }
  }

  /** @param {string} name */
  #filter(name) {
    this.state = name;
    this.refresh();
  }

  /** @param {number} waiting */
  #said(waiting) {
    const none = this.#shown.length === 0;
    replace(this.news, waiting ? h("button", { type: "button", class: "button small primary", onClick: () => this.#toTop() }, `Show ${plural(waiting, "new watcher")}`) : null);
    replace(this.status, store.loaded ? plural(this.#shown.length, "watcher") : "");
    replace(this.empty, none ? this.#nothing() : store.error ? errorState(store.error, () => void store.reload()) : null);
  }

  #toTop() {
    window.scrollTo({ top: 0 });
    this.#letIn();
  }

  #nothing() {
    if (store.error) return errorState(store.error, () => void store.reload());
    if (!store.loaded) return loading("Watchers are being loaded…");
    if (store.all().length > 0) {
      const clear = () => {
        this.search.value = "";
        this.state = "";
        this.refresh();
        this.search.focus();
      };
      return emptyState({ title: "No watcher fits", text: "Nothing here answers to this search and filter.", action: h("button", { type: "button", class: "button", onClick: clear }, "Show all watchers") });
    }
    const declared = this.overview.declared();
    if (declared > 0) {
      return emptyState({
        title: "No job fits yet",
        text: [`${plural(declared, "watcher is", "watchers are")} declared. Each begins with the first job that it selects.`],
        action: h("a", { class: "button", href: "/jobs" }, "See the jobs"),
      });
    }
    return emptyState({
      title: "No watchers yet",
      text: ["A watcher reads what a job prints, and acts when a pattern matches. Make one here, or put a YAML file into the directory that ", h("code", null, "reconcile serve"), " was given."],
      action: this.writes ? h("a", { class: "button primary", href: "/new" }, icon("plus"), "New watcher") : null,
    });
  }
}

/** @param {string} name */
function filterName(name) {
  return name === "" ? "All" : name === "errors" ? "With errors" : STATES[name]?.[0] ?? name;
}

/**
 * @param {Watcher} watcher
 * @param {string} state
 */
function fits(watcher, state) {
  return state === "" || (state === "errors" ? watcher.last_error !== "" : watcher.state === state);
}

// @ts-check
// What was entered and not saved: kept over a reload, and asked about when the page is left.
import { openDialog } from "../../lib/dialog.js";
import { h } from "../../lib/dom.js";
import { debounce } from "../../lib/debounce.js";

/** @typedef {import("./types").Form} Form */

const PREFIX = "creator:";

export class Keep {
  /**
   * @param {string} name under which it is kept
   * @param {import("../../types").Context} ctx
   */
  constructor(name, ctx) {
    this.key = PREFIX + name;
    this.ctx = ctx;
    this.dirty = false;
    /** @type {Form | null} */
    this.form = null;
    this.later = debounce(() => this.write(), 150);
    const before = (/** @type {BeforeUnloadEvent} */ event) => this.leaving(event);
    const click = (/** @type {MouseEvent} */ event) => this.clicked(event);
    window.addEventListener("beforeunload", before);
    document.addEventListener("click", click, true);
    ctx.signal.addEventListener("abort", () => {
      this.later.now();
      window.removeEventListener("beforeunload", before);
      document.removeEventListener("click", click, true);
    });
  }

  /** What was kept; null: nothing. @returns {Form | null} */
  restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
      if (!kept || typeof kept.spec !== "object" || !Array.isArray(kept.spec.actions) || !Array.isArray(kept.jobs)) return null;
      this.dirty = true;
      return kept;
    } catch {
      return null;
    }
  }

  /** @param {Form} form */
  changed(form) {
    this.dirty = true;
    this.form = form;
    this.later();
  }

  /** Nothing is left to be kept. */
  done() {
    this.later.cancel();
    this.dirty = false;
    this.form = null;
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // storage is forbidden: nothing was kept
    }
  }

  write() {
    if (!this.form) return;
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.form));
    } catch {
      // storage is full or forbidden: the question when leaving remains
    }
  }

  /** @param {BeforeUnloadEvent} event */
  leaving(event) {
    this.later.now();
    if (this.dirty) event.preventDefault();
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!this.dirty || !link || link.target || link.hasAttribute("download") || link.classList.contains("skip")) return;
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || url.pathname + url.search === location.pathname + location.search) return;
    event.preventDefault();
    event.stopPropagation();
    this.ask(() => this.ctx.navigate(url.pathname + url.search + url.hash));
  }

  /** @param {() => void} go */
  ask(go) {
    const leave = (/** @type {boolean} */ drop) => (/** @type {() => void} */ close) => {
      close();
      if (drop) this.done();
      go();
    };
    openDialog({
      title: "Leave without saving?",
      body: h("p", null, "What you entered is not saved as a watcher yet. It can wait here until you come back, as long as this tab is open."),
      actions: [{ label: "Discard it", kind: "danger", run: leave(true) }, { label: "Keep it and leave", run: leave(false) }, { label: "Stay", kind: "primary" }],
    });
  }
}

// @ts-check
// A list of which only the rows in view are in the document, however many there are. Rows may differ in height.

/**
 * @typedef {object} Options
 * @property {() => number} count how many rows there are
 * @property {(index: number, before: HTMLElement | null) => HTMLElement} render the row; may return `before`, changed or not
 * @property {(index: number) => string | number} [key] what the row is about; the row stays in the document under it
 * @property {number} [rowHeight] px of every row; without it rows are measured, and `estimate` is taken until then
 * @property {number | ((index: number) => number)} [estimate] px
 * @property {number} [gap] px between rows
 * @property {number} [overscan] px that are drawn beyond the view
 * @property {string} [role] of the list; rows get the role `listitem` where it is `list`
 *
 * @typedef {{refresh: () => void, scrollTo: (index: number) => void, stop: () => void}} VirtualList
 */

/**
 * Draw a list into a container. It scrolls with the container where that has `overflow-y: auto` or `scroll`, else with
 * the page. With `rowHeight`, 500,000 rows of 20 px are possible (browsers end at some 16 million px).
 * @param {HTMLElement} container
 * @param {Options} options
 * @returns {VirtualList}
 */
export function virtualList(container, options) {
  const list = new List(container, options);
  return { refresh: () => list.refresh(), scrollTo: (index) => list.scrollTo(index), stop: () => list.stop() };
}

class List {
  /** @type {Map<string | number, HTMLElement>} */
  #rows = new Map();
  /** @type {Map<string | number, number>} */
  #heights = new Map();
  /** @type {WeakMap<Element, string | number>} */
  #keys = new WeakMap();
  /** Where each row begins, px; one more than there are rows. */
  #starts = new Float64Array(1);
  /** Px of all rows that were measured, together. */
  #sum = 0;
  #frame = 0;
  #gap;
  #margin;

  /**
   * @param {HTMLElement} container
   * @param {Options} options
   */
  constructor(container, options) {
    this.options = options;
    this.container = container;
    this.#gap = options.gap ?? 0;
    this.#margin = options.overscan ?? 400;
    this.own = ["auto", "scroll"].includes(getComputedStyle(container).overflowY);
    this.canvas = document.createElement("div");
    this.canvas.className = "virtual";
    if (options.role) this.canvas.setAttribute("role", options.role);
    container.append(this.canvas);
    this.wake = () => this.#soon();
    this.scroller = this.own ? container : window;
    this.scroller.addEventListener("scroll", this.wake, { passive: true });
    window.addEventListener("resize", this.wake);
    this.sizes = new ResizeObserver((entries) => this.#measured(entries));
    this.around = new ResizeObserver(this.wake); // what stands above it may grow and shrink
    this.around.observe(document.body);
    this.refresh();
  }

  /** Say that rows came, went or changed. */
  refresh() {
    this.#lay();
    this.#draw(true);
  }

  /** @param {number} index */
  scrollTo(index) {
    const top = this.#starts[Math.max(0, Math.min(index, this.#starts.length - 2))] ?? 0;
    if (this.own) this.container.scrollTop = top;
    else window.scrollTo({ top: top + this.#offset() - 120 });
    this.#draw(false);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.scroller.removeEventListener("scroll", this.wake);
    window.removeEventListener("resize", this.wake);
    this.sizes.disconnect();
    this.around.disconnect();
    this.canvas.remove();
  }

  #soon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw(false));
  }

  /** @param {number} index */
  #key(index) {
    return this.options.key ? this.options.key(index) : index;
  }

  /** @param {number} index */
  #estimate(index) {
    const { estimate = 80 } = this.options;
    if (typeof estimate !== "number") return estimate(index);
    return this.#heights.size > 4 ? this.#sum / this.#heights.size : estimate;
  }

  #lay() {
    const { rowHeight } = this.options;
    const count = this.options.count();
    this.#starts = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) {
      const height = rowHeight ?? this.#heights.get(this.#key(i)) ?? this.#estimate(i);
      this.#starts[i + 1] = this.#starts[i] + height + this.#gap;
    }
    this.canvas.style.setProperty("height", `${Math.max(0, this.#starts[count] - this.#gap)}px`);
  }

  /** Px from the top of the page to the list. */
  #offset() {
    return this.canvas.getBoundingClientRect().top + window.scrollY;
  }

  /** What is in view, in px of the list. */
  #view() {
    if (this.own) return [this.container.scrollTop, this.container.scrollTop + this.container.clientHeight];
    const top = -this.canvas.getBoundingClientRect().top;
    return [top, top + window.innerHeight];
  }

  /**
   * The row at a height, by halving.
   * @param {number} y
   */
  #at(y) {
    let low = 0;
    let high = Math.max(0, this.#starts.length - 2);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {boolean} changed rows that are there are rendered again */
  #draw(changed) {
    const count = this.#starts.length - 1;
    const [top, bottom] = this.#view();
    const first = this.#at(top - this.#margin);
    const last = count === 0 ? -1 : this.#at(bottom + this.#margin);
    /** @type {Map<string | number, HTMLElement>} */
    const kept = new Map();
    const focused = this.#focused(first, last, changed);
    const wanted = focused === null ? [] : [focused];
    for (let i = first; i <= last; i++) wanted.push(i);
    wanted.sort((a, b) => a - b);
    for (const index of wanted) kept.set(this.#key(index), this.#row(index, changed));
    for (const [key, row] of this.#rows) {
      if (kept.get(key) === row) continue;
      this.sizes.unobserve(row);
      row.remove();
    }
    this.#rows = kept;
    this.#order(kept);
  }

  /**
   * The row with the focus, where it is out of view: it stays, so that the keyboard does not lose its place.
   * @param {number} first
   * @param {number} last
   * @param {boolean} changed
   */
  #focused(first, last, changed) {
    const active = document.activeElement;
    if (!active || active === this.canvas || !this.canvas.contains(active)) return null;
    for (const row of this.#rows.values()) {
      if (!row.contains(active)) continue;
      let index = Number(row.dataset["index"]);
      if (changed) index = this.#find(this.#keys.get(row), index);
      return index < 0 || index >= this.#starts.length - 1 || (index >= first && index <= last) ? null : index;
    }
    return null;
  }

  /**
   * @param {string | number | undefined} key
   * @param {number} near
   */
  #find(key, near) {
    const count = this.#starts.length - 1;
    if (near < count && this.#key(near) === key) return near;
    for (let i = 0; i < count; i++) if (this.#key(i) === key) return i;
    return -1;
  }

  /**
   * @param {number} index
   * @param {boolean} changed
   */
  #row(index, changed) {
    const key = this.#key(index);
    const before = this.#rows.get(key) ?? null;
    const row = before && !changed ? before : this.options.render(index, before);
    if (row !== before) {
      this.#keys.set(row, key);
      row.classList.add("virtual-row");
      if (!this.options.rowHeight) this.sizes.observe(row);
    }
    row.dataset["index"] = String(index);
    if (this.options.role === "list") {
      row.setAttribute("role", "listitem");
      row.setAttribute("aria-setsize", String(this.#starts.length - 1));
      row.setAttribute("aria-posinset", String(index + 1));
    }
    row.style.setProperty("transform", `translateY(${this.#starts[index]}px)`);
    return row;
  }

  /** Rows stand in the document in their order, which is the order of Tab. */
  /** @param {Map<string | number, HTMLElement>} rows */
  #order(rows) {
    let next = this.canvas.firstElementChild;
    for (const row of rows.values()) {
      if (row === next) next = next.nextElementSibling;
      else this.canvas.insertBefore(row, next);
    }
  }

  /** @param {ResizeObserverEntry[]} entries */
  #measured(entries) {
    let changed = false;
    for (const entry of entries) {
      const key = this.#keys.get(entry.target);
      const row = /** @type {HTMLElement} */ (entry.target);
      if (key === undefined || row.offsetHeight === 0) continue;
      const index = Number(row.dataset["index"]);
      const known = this.#starts[index + 1] - this.#starts[index] - this.#gap;
      this.#sum += row.offsetHeight - (this.#heights.get(key) ?? 0);
      this.#heights.set(key, row.offsetHeight);
      changed ||= Math.abs(row.offsetHeight - known) >= 0.5;
    }
    if (changed) this.#keepPlace(() => this.#lay());
  }

  /**
   * Change heights so that what is in view stays where it is; at the end of the page, so that the end stays in view.
   * @param {() => void} change
   */
  #keepPlace(change) {
    const scroller = this.own ? this.container : document.documentElement;
    const top = this.#view()[0];
    const anchor = this.#at(top);
    const before = this.#starts[anchor];
    const ended = top > 0 && scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 2;
    change();
    if (ended) scroller.scrollTop = scroller.scrollHeight;
    else if (top > 0) scroller.scrollTop += this.#starts[anchor] - before;
    this.#draw(false);
  }
}

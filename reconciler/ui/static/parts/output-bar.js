// @ts-check
// What stands above and below an output: streams, follow, wrap, jump to a line, search with its results.
import { debounce } from "../lib/debounce.js";
import { h, icon, replace, setText } from "../lib/dom.js";
import { bytes, number, plural } from "../lib/format.js";
import { errorText } from "../lib/states.js";
import { marked, marker } from "./visible.js";

/**
 * What the bar asks of the viewer.
 * @typedef {object} Wishes
 * @property {(on: boolean) => void} follow
 * @property {(on: boolean) => void} wrap
 * @property {(line: number) => void} line
 * @property {(query: import("./visible.js").Query | null) => void} search
 * @property {(direction: 1 | -1) => void} step
 * @property {(at: number) => void} choose a found line
 * @property {() => void} more search on
 */

/** Found lines that are listed. */
const LISTED = 500;

export class Bar {
  /**
   * @param {Wishes} wishes
   * @param {{wrap: boolean, query: import("./visible.js").Query | null}} begin
   */
  constructor(wishes, begin) {
    this.wishes = wishes;
    this.follow = toggle("Follow", "Show what is printed as it is printed", (on) => wishes.follow(on));
    this.wrap = toggle("Wrap", "Break lines that are longer than the window", (on) => wishes.wrap(on));
    press(this.wrap, begin.wrap);
    this.regex = toggle(".*", "It is a pattern, as in a watcher", () => this.#ask());
    this.regex.setAttribute("aria-label", "Pattern");
    this.exact = toggle("Aa", "Capital and small letters are different", () => this.#ask());
    this.exact.setAttribute("aria-label", "Match case");
    press(this.regex, begin.query?.regex ?? false);
    press(this.exact, begin.query ? !begin.query.ignoreCase : false);
    this.text = h("input", { type: "search", class: "mono", placeholder: "Search all of it", "aria-label": "Search the output", maxlength: "900", spellcheck: "false", autocomplete: "off", value: begin.query?.text ?? "", onInput: () => this.#sought(), onKeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) });
    this.#sought = debounce(() => this.#ask(), 300);
    this.told = h("span", { class: "found-count", role: "status" });
    this.buttons = [this.#step("Previous found line", -1), this.#step("Next found line", 1)];
    this.list = h("ol", { class: "found-list", "aria-label": "Found lines" });
    this.results = h("details", { class: "found", hidden: true }, h("summary", null, "Found lines"), this.list);
    this.results.addEventListener("toggle", () => this.results.open && this.#draw());
    this.go = h("button", { type: "button", class: "button small", hidden: true, onClick: () => wishes.more() }, "Search on");
    this.element = h("div", { class: "output-bar" },
      h("div", { class: "row wrap" }, this.follow, this.wrap, this.#jump()),
      h("div", { class: "row wrap output-search", role: "search" },
        h("span", { class: "search grow" }, icon("search"), this.text), this.exact, this.regex, ...this.buttons, this.told, this.go),
      this.results);
    this.foot = h("p", { class: "output-foot muted small" });
  }

  /** @type {(() => void) & {now: () => void, cancel: () => void}} */
  #sought;
  /** @type {import("./finder.js").Finder | null} */
  #finder = null;
  #drawn = 0;

  /** The query as it stands in the fields. */
  get query() {
    return { text: this.text.value, regex: pressed(this.regex), ignoreCase: !pressed(this.exact) };
  }

  /** @param {boolean} on */
  setFollow(on) {
    press(this.follow, on);
  }

  /** @param {boolean} on */
  setWrap(on) {
    press(this.wrap, on);
  }

  /**
   * What the search has come to.
   * @param {import("./finder.js").Finder} finder
   */
  found(finder) {
    this.#finder = finder;
    const count = finder.found.length;
    const share = finder.size ? `, ${Math.floor((100 * finder.reached) / finder.size)} % gone through` : "";
    const words = {
      idle: "",
      running: `${plural(count, "line")}…`,
      paused: `${plural(count, "line")}${share}`,
      done: count ? plural(count, "line") : "nothing found",
      failed: errorText(finder.error),
    };
    setText(this.told, finder.at >= 0 ? `${number(finder.at + 1)} of ${words[finder.state]}` : words[finder.state]);
    this.told.classList.toggle("bad", finder.state === "failed");
    this.text.setAttribute("aria-invalid", String(finder.state === "failed"));
    this.go.hidden = finder.state !== "paused";
    this.results.hidden = count === 0;
    for (const button of this.buttons) button.disabled = count === 0;
    if (count === 0 || finder.at >= 0 || count !== this.#drawn) this.#draw();
  }

  /**
   * @param {import("./lines.js").Lines} lines
   * @param {boolean} ended
   */
  tell(lines, ended) {
    const last = lines.rows[lines.rows.length - 1];
    const count = lines.atEnd && last?.number ? `${plural(last.number, "line")}, ` : "";
    replace(this.foot, h("bdi", { class: "mono path" }, lines.path), h("span", { class: "nowrap" }, `${count}${bytes(lines.size)}${ended ? ", the job has ended" : ""}`));
  }

  #ask() {
    this.#sought.cancel();
    this.wishes.search(this.text.value === "" ? null : this.query);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    this.#sought.now();
    this.wishes.step(event.shiftKey ? -1 : 1);
  }

  #draw() {
    const finder = this.#finder;
    if (!finder || !this.results.open) return;
    this.#drawn = finder.found.length;
    const sought = marker(finder.query);
    const focused = [...this.list.querySelectorAll("button")].findIndex((each) => each === document.activeElement);
    replace(this.list, finder.found.slice(0, LISTED).map((each, at) => h("li", null,
      h("button", { type: "button", class: "found-line", "aria-current": at === finder.at ? "true" : null, onClick: () => this.wishes.choose(at) },
        h("span", { class: "line-number" }, number(each.line)), h("bdi", { class: "mono cut" }, ...marked(each.text.slice(0, 300), sought))))));
    if (finder.found.length > LISTED) this.list.append(h("li", { class: "muted small" }, `… and ${number(finder.found.length - LISTED)} more`));
    if (focused >= 0) this.list.querySelectorAll("button")[focused]?.focus();
  }

  #jump() {
    const field = h("input", { type: "text", inputmode: "numeric", class: "line-jump", placeholder: "Line", "aria-label": "Go to line", pattern: "[0-9]*", autocomplete: "off" });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      const wanted = Number(field.value.replace(/\D/g, ""));
      if (wanted >= 1) this.wishes.line(wanted);
    };
    return h("form", { class: "row", onSubmit: submit }, field, h("button", { type: "submit", class: "button" }, "Go"));
  }

  /**
   * @param {string} label
   * @param {1 | -1} direction
   */
  #step(label, direction) {
    const picture = h("span", { class: direction < 0 ? "upwards" : "" }, icon("down"));
    return h("button", { type: "button", class: "button icon-only", "aria-label": label, title: label, disabled: true, onClick: () => this.wishes.step(direction) }, picture);
  }
}

/**
 * @param {string} label
 * @param {string} title
 * @param {(on: boolean) => void} changed
 */
function toggle(label, title, changed) {
  const button = h("button", { type: "button", class: "button", title, "aria-pressed": "false", onClick: () => {
    press(button, !pressed(button));
    changed(pressed(button));
  } }, label);
  return button;
}

/** @param {HTMLElement} button */
function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

/**
 * @param {HTMLElement} button
 * @param {boolean} on
 */
function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

// @ts-check
// One input with its label, hint and what is wrong with it; faults find their field by its path in the watcher's file.
import { h, replace } from "../../lib/dom.js";

/** @typedef {import("../../types").Flaw} Flaw */

let made = 0;

/**
 * A labelled input. `path`: the field of the file that it is; faults of that are shown here.
 * @param {{label: string, path: string, hint?: string | Node | (string | Node)[], optional?: boolean, wide?: boolean}} about
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input
 */
export function field({ label, path, hint, wide }, input) {
  const id = `f${++made}`;
  input.id = id;
  const described = [hint ? `${id}-hint` : "", `${id}-fault`].filter(Boolean).join(" ");
  input.setAttribute("aria-describedby", described);
  return h("div", { class: wide ? "field wide" : "field", dataset: { field: path } },
    h("label", { for: id }, label),
    input,
    hint ? h("div", { class: "hint", id: `${id}-hint` }, hint) : null,
    h("div", { class: "fault", id: `${id}-fault` }));
}

/**
 * A checkbox with its text beside it.
 * @param {{label: string, path: string, hint?: string}} about
 * @param {boolean} checked
 * @param {(checked: boolean) => void} onChange
 */
export function tick({ label, path, hint }, checked, onChange) {
  const box = h("input", { type: "checkbox", checked, onChange: () => onChange(box.checked) });
  return h("div", { class: "field", dataset: { field: path } },
    h("label", { class: "check" }, box, label), hint ? h("div", { class: "hint" }, hint) : null, h("div", { class: "fault" }));
}

/**
 * A text input that writes what is entered.
 * @param {string} value
 * @param {(value: string) => void} onInput
 * @param {Record<string, any>} [props]
 */
export function text(value, onInput, props) {
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", dir: "auto", value, onInput: () => onInput(input.value), ...props });
  return input;
}

/**
 * @param {string} value
 * @param {(value: string) => void} onInput
 * @param {Record<string, any>} [props]
 */
export function area(value, onInput, props) {
  const input = h("textarea", { spellcheck: "false", dir: "auto", rows: 2, value, onInput: () => onInput(input.value), ...props });
  return input;
}

/**
 * A number input; "" where nothing is entered. What is no number goes on as text, so that the server says so.
 * @param {number | string | undefined} value
 * @param {(value: number | string) => void} onInput
 * @param {Record<string, any>} [props]
 */
export function numeric(value, onInput, props) {
  const input = h("input", {
    type: "text", inputmode: "decimal", autocomplete: "off", value: value ?? "",
    onInput: () => onInput(input.value.trim() === "" || Number.isNaN(Number(input.value)) ? input.value.trim() : Number(input.value)), ...props,
  });
  return input;
}

/**
 * @param {[string, string][]} options value, text
 * @param {string} value
 * @param {(value: string) => void} onChange
 * @param {Record<string, any>} [props]
 */
export function select(options, value, onChange, props) {
  const made = h("select", { onChange: () => onChange(made.value), ...props },
    options.map(([each, name]) => h("option", { value: each, selected: each === value }, name)));
  return made;
}

/**
 * Show faults at the fields they are of; returns those that have none here.
 * @param {Element} root
 * @param {readonly Flaw[]} flaws
 * @param {string} file
 * @param {(path: string) => boolean} wanted whether faults of a field are shown yet
 */
export function showFaults(root, flaws, file, wanted) {
  const left = new Set(flaws);
  /** @type {NodeListOf<HTMLElement>} */
  const places = root.querySelectorAll("[data-field]");
  for (const place of places) {
    const path = place.dataset["field"] ?? "";
    const own = flaws.filter((flaw) => belongs(flaw.field ?? "", path, places));
    for (const flaw of own) left.delete(flaw);
    mark(place, wanted(path) ? own : [], file);
  }
  return [...left];
}

/**
 * A fault belongs to the innermost field that has it.
 * @param {string} at
 * @param {string} path
 * @param {NodeListOf<HTMLElement>} places
 */
function belongs(at, path, places) {
  if (!at || !path || !within(at, path)) return false;
  return ![...places].some((other) => {
    const inner = other.dataset["field"] ?? "";
    return inner.length > path.length && within(at, inner);
  });
}

/**
 * @param {string} at
 * @param {string} path
 */
export function within(at, path) {
  return at === path || (at.startsWith(path) && /^[.[]/.test(at.slice(path.length)));
}

/**
 * @param {HTMLElement} place
 * @param {readonly Flaw[]} flaws
 * @param {string} file
 */
function mark(place, flaws, file) {
  const fault = [...place.children].find((child) => child.classList.contains("fault"));
  if (!fault) return;
  const key = flaws.map((flaw) => flaw.message + flaw.line).join();
  if (/** @type {HTMLElement} */ (fault).dataset["key"] === key) return;
  /** @type {HTMLElement} */ (fault).dataset["key"] = key;
  replace(fault, flaws.map((flaw) => faultText(flaw, file)));
  const input = place.querySelector("input, select, textarea");
  if (flaws.length) input?.setAttribute("aria-invalid", "true");
  else input?.removeAttribute("aria-invalid");
}

/**
 * One fault: what is wrong, what to do, and where it stands in the file.
 * @param {Flaw} flaw
 * @param {string} file
 */
export function faultText(flaw, file) {
  const name = file.slice(file.lastIndexOf("/") + 1) || "watcher.yaml";
  const where = flaw.line ? `${name}:${flaw.line}:${flaw.column}` : "";
  return h("p", { dir: "auto" }, withCode(flaw.message), flaw.remedy ? [" (", ...withCode(flaw.remedy), ")"] : "", where ? h("span", { class: "fault-place" }, " ", h("bdi", null, where)) : null);
}

/**
 * Text with `code` in it.
 * @param {string} words
 */
export function withCode(words) {
  return words.split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));
}

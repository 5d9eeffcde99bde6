// @ts-check
// Elements from values. Text always becomes a text node: nothing in these pages is ever parsed as HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Child | Child[]} Children */
/** @typedef {Record<string, any>} Props */

const SVG = "http://www.w3.org/2000/svg";
/** Properties that attributes do not set once an element is in use. */
const AS_PROPERTY = new Set(["value", "checked", "selected", "indeterminate", "disabled", "open", "hidden"]);

/**
 * Make an element. Props: `class`, `dataset` (object), `style` (object of CSS properties, set through the CSSOM),
 * `on<Event>` (function), `ref` (function that gets the element), booleans (true: present), anything else an attribute.
 * null, undefined and false are left out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Props | null} [props]
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  dress(element, props ?? {});
  append(element, children);
  return element;
}

/**
 * The same for SVG.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Props | null} [props]
 * @param {...Children} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  dress(element, props ?? {});
  append(element, children);
  return /** @type {SVGElementTagNameMap[T]} */ (element);
}

/**
 * Put these children in place of those that are there.
 * @param {Element | DocumentFragment} parent
 * @param {...Children} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * What an element was when `renew` put it in place, whatever became of it since.
 * @type {WeakMap<Element, Element>}
 */
const made = new WeakMap();
/** Tags of elements that only hold others: what is renewed is what they hold. */
const HOLDERS = new Set(["DIV", "DL", "LI", "OL", "SECTION", "UL"]);

/**
 * The same for what is drawn again and again: of elements that are there already as they are wanted those that are there
 * stay, with their focus and what was opened in them.
 * @param {Element} parent
 * @param {...(Element | null | (Element | null)[])} children
 */
export function renew(parent, ...children) {
  const before = [...parent.children];
  const alike = new Map(before.map((each) => [made.get(each)?.textContent, each]));
  const wanted = /** @type {Element[]} */ (children.flat().filter((each) => each !== null)).map((child) => {
    const there = alike.get(child.textContent);
    if (child.parentNode === parent || !there || !made.get(there)?.isEqualNode(child)) return child;
    alike.delete(child.textContent);
    return there;
  });
  const staying = new Set(wanted);
  const left = new Set(before.filter((each) => !staying.has(each)));
  const placed = wanted.map((child) => {
    if (child.parentNode === parent) return child;
    const copy = /** @type {Element} */ (child.cloneNode(true));
    const there = [...left].find((each) => holdsAlike(each, child));
    if (!there) {
      keep(child, copy);
      return child;
    }
    left.delete(there);
    renew(there, ...child.children);
    made.set(there, copy);
    return there;
  });
  const remaining = new Set(placed);
  for (const each of [...parent.childNodes]) if (!remaining.has(/** @type {any} */ (each))) each.remove();
  let next = parent.firstElementChild;
  for (const each of placed) {
    if (each === next) next = next.nextElementSibling;
    else parent.insertBefore(each, next);
  }
}

/**
 * Whether two elements hold nothing but elements, and are the same but for these.
 * @param {Element} one
 * @param {Element} other
 */
function holdsAlike(one, other) {
  const texts = (/** @type {Element} */ each) => [...each.childNodes].some((child) => child.nodeType === Node.TEXT_NODE);
  return HOLDERS.has(one.tagName) && one.cloneNode(false).isEqualNode(other.cloneNode(false)) && !texts(one) && !texts(other);
}

/**
 * @param {Element} element
 * @param {Element} copy
 */
function keep(element, copy) {
  made.set(element, copy);
  if (HOLDERS.has(element.tagName)) [...element.children].forEach((each, at) => keep(each, copy.children[at]));
}

/**
 * Set a text if it changed; keeps selections and screen readers undisturbed where it did not.
 * @param {Element} element
 * @param {string | number} text
 */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Text that came from elsewhere (names, patterns, log lines), kept from turning the direction of what is around it.
 * @param {string | null | undefined} text
 * @param {string} [className]
 */
export function foreign(text, className) {
  return h("bdi", { class: className }, text ?? "");
}

/**
 * A small picture of the house's own set; decoration, so hidden from screen readers.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const parts = PATHS[name].map((d) => svg("path", { d }));
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, ...parts);
}

/** Strokes on a 16 x 16 grid. */
const PATHS = {
  pause: ["M5.5 3.5v9", "M10.5 3.5v9"],
  play: ["M5 3.2v9.6l7.6-4.8z"],
  bolt: ["M9 1.8 3.6 9h3.9L7 14.2 12.4 7H8.5z"],
  edit: ["M10.8 2.8 13.2 5.2 5.4 13H3v-2.4z", "M9.2 4.4l2.4 2.4"],
  copy: ["M6 5.5h7v8H6z", "M10 5.5v-3H3v8h3"],
  trash: ["M3 4.5h10", "M6.2 4.5V2.8h3.6v1.7", "M4.3 4.5l.6 8.7h6.2l.6-8.7", "M6.8 7v3.8", "M9.2 7v3.8"],
  refresh: ["M13 8a5 5 0 1 1-1.5-3.6", "M13 2.2v2.6h-2.6"],
  plus: ["M8 3v10", "M3 8h10"],
  close: ["M4 4l8 8", "M12 4l-8 8"],
  down: ["M4 6l4 4 4-4"],
  right: ["M6 4l4 4-4 4"],
  search: ["M11 7a4 4 0 1 1-8 0 4 4 0 0 1 8 0z", "M10 10l3.4 3.4"],
  menu: ["M2.5 4.5h11", "M2.5 8h11", "M2.5 11.5h11"],
  more: ["M3.5 8h.01", "M8 8h.01", "M12.5 8h.01"],
  eye: ["M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8z", "M9.8 8a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0z"],
  jobs: ["M2.5 3.5h11v9h-11z", "M4.8 6.5 6.6 8l-1.8 1.5", "M8 9.8h3"],
  chart: ["M2.5 2.5v11h11", "M4.8 10.4 7.4 7l2.2 1.8 3.4-4.6"],
  plan: ["M3 4.2h2", "M3 8h2", "M3 11.8h2", "M7 4.2h6", "M7 8h6", "M7 11.8h6"],
  host: ["M2.5 3h11v4h-11z", "M2.5 9h11v4h-11z", "M5 5h.01", "M5 11h.01"],
  template: ["M3 2.5h7l3 3v8H3z", "M10 2.5v3h3", "M5.4 8.4h5", "M5.4 10.8h5"],
  sun: ["M10.8 8a2.8 2.8 0 1 1-5.6 0 2.8 2.8 0 0 1 5.6 0z", "M8 1.4v1.4", "M8 13.2v1.4", "M1.4 8h1.4", "M13.2 8h1.4",
        "M3.3 3.3l1 1", "M11.7 11.7l1 1", "M12.7 3.3l-1 1", "M4.3 11.7l-1 1"],
  download: ["M8 2.5v7.6", "M4.8 7.2 8 10.4l3.2-3.2", "M3 13.3h10"],
  check: ["M3 8.6 6.4 12 13 4.4"],
  warning: ["M8 2.2 14.4 13.4H1.6z", "M8 6.4v3.4", "M8 11.6h.01"],
  link: ["M6.6 9.4a2.6 2.6 0 0 0 3.7 0l2.3-2.3a2.6 2.6 0 0 0-3.7-3.7l-.9.9", "M9.4 6.6a2.6 2.6 0 0 0-3.7 0L3.4 8.9a2.6 2.6 0 0 0 3.7 3.7l.9-.9"],
};

/**
 * @param {Element} element
 * @param {Props} props
 */
function dress(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2).toLowerCase(), value);
    } else if (name === "ref") {
      value(element);
    } else if (name === "dataset") {
      Object.assign(/** @type {HTMLElement} */ (element).dataset, value);
    } else if (name === "style") {
      for (const [key, each] of Object.entries(value)) {
        /** @type {HTMLElement} */ (element).style.setProperty(key, String(each));
      }
    } else {
      setOne(element, name, value);
    }
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {any} value
 */
function setOne(element, name, value) {
  if (AS_PROPERTY.has(name) && name in element) {
    /** @type {any} */ (element)[name] = value;
  } else if (value === true) {
    element.setAttribute(name, name.startsWith("aria-") ? "true" : "");
  } else if (value !== false) {
    element.setAttribute(name, String(value));
  } else if (name.startsWith("aria-")) {
    element.setAttribute(name, "false");
  }
}

/**
 * @param {Element | DocumentFragment} parent
 * @param {Children[]} children
 */
function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

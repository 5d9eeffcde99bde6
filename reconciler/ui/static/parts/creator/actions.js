// @ts-check
// What to do at a match: actions by category, each with inputs for its params and the names that its texts may use.
import { h, icon, replace } from "../../lib/dom.js";
import { openDialog } from "../../lib/dialog.js";
import { field, select, text } from "./fields.js";
import { moveAction, placeholders, put } from "./model.js";
import { paramInput } from "./params.js";

/** @typedef {import("./types").Desk} Desk */

/** @param {Desk} desk */
export function actionsSection(desk) {
  const list = h("ol", { class: "stack actions" });
  const draw = (/** @type {number} */ focus = -1) => {
    list.dataset["drawn"] = shape(desk);
    replace(list, desk.form.spec.actions.map((/** @type {any} */ action, /** @type {number} */ at) => card(desk, action, at, draw)));
    const place = list.children[focus]?.querySelector(".action-name");
    if (place instanceof HTMLElement) place.focus();
  };
  const add = () => chooseType(desk, (type) => {
    desk.form.spec.actions.push(fresh(desk, type));
    draw(desk.form.spec.actions.length - 1);
    desk.changed("actions");
  });
  desk.onTried(() => {
    for (const hints of list.querySelectorAll(".hints")) replace(hints, hintButtons(desk));
  });
  desk.onChange(() => {
    if (list.dataset["drawn"] !== shape(desk)) draw();
  });
  draw();
  return h("section", { class: "panel stack", "aria-labelledby": "creator-actions", dataset: { field: "actions" } },
    h("h2", { id: "creator-actions" }, "What to do then"), list, h("div", { class: "fault" }),
    h("div", null, h("button", { type: "button", class: "button", onClick: add }, icon("plus"), "Add an action")));
}

/**
 * Which actions there are: drawn anew when that changes from elsewhere (quick templates).
 * @param {Desk} desk
 */
function shape(desk) {
  shapes.set(desk.form.spec.actions, shapes.get(desk.form.spec.actions) ?? ++made);
  return String(shapes.get(desk.form.spec.actions));
}
/** @type {WeakMap<object, number>} */
const shapes = new WeakMap();
let made = 0;

/**
 * @param {Desk} desk
 * @param {string} type
 */
function fresh(desk, type) {
  const known = desk.words.actions.find((each) => each.type === type);
  const action = /** @type {any} */ ({ type });
  const name = desk.form.spec.captures?.[0] ?? desk.tried?.groups.find((each) => each);
  if (type === "log_event") action.params = { message: "$0" };
  if (type === "store_metric") action.params = { name: name ?? "value", value: name ? `$${name}` : "$1" };
  return known?.params.required && !action.params ? { ...action, params: {} } : action;
}

/**
 * @param {Desk} desk
 * @param {any} action
 * @param {number} at
 * @param {(focus?: number) => void} redraw
 */
function card(desk, action, at, redraw) {
  const path = `actions[${at}]`;
  const known = desk.words.actions.find((each) => each.type === action.type);
  action.params ??= {};
  const changed = () => desk.changed("actions");
  const inputs = Object.entries(known?.params.properties ?? {}).map(([name, schema]) =>
    paramInput(name, schema, { required: Boolean(known?.params.required?.includes(name)), path, params: action.params, changed }));
  const needed = inputs.slice(0, 3);
  const rest = inputs.slice(3);
  const body = h("div", { class: "fields action-fields" }, needed);
  const element = h("li", { class: "action", dataset: { field: path } },
    h("div", { class: "row" },
      h("h3", { class: "action-name grow", tabindex: "-1" }, `${at + 1}. ${title(action.type)}`, h("span", { class: "muted small action-about" }, ` ${known?.description ?? "not installed here"}`)),
      order(desk, at, redraw)),
    h("div", { class: "fault" }),
    known && !known.allowed ? h("p", { class: "notice warn small" }, `This will be refused: ${known.why}.`) : null,
    body,
    h("div", { class: "row wrap hints", role: "group", "aria-label": "Put into the text" }, hintButtons(desk)),
    h("details", { class: "action-more" }, h("summary", null, "When, and more"),
      h("div", { class: "fields" }, rest, conditionInput(action, path, changed), orderInput(desk, action, at, changed))));
  follow(element);
  return element;
}

/**
 * @param {Desk} desk
 * @param {number} at
 * @param {(focus?: number) => void} redraw
 */
function order(desk, at, redraw) {
  const { spec } = desk.form;
  const move = (/** @type {number | null} */ to) => () => {
    spec.actions = moveAction(spec.actions, at, to);
    redraw(to ?? Math.min(at, spec.actions.length - 1));
    desk.changed("actions");
  };
  const button = (/** @type {string} */ label, /** @type {Parameters<typeof icon>[0]} */ picture, /** @type {number | null} */ to, /** @type {boolean} */ off, turn = "") =>
    h("button", { type: "button", class: `button ghost small icon-only ${turn}`, "aria-label": `${label} action ${at + 1}`, disabled: off, onClick: move(to) }, icon(picture));
  return h("div", { class: "row" },
    button("Move up", "down", at - 1, at === 0, "turned"),
    button("Move down", "down", at + 1, at === spec.actions.length - 1),
    button("Remove", "trash", null, spec.actions.length === 1));
}

/** @param {Desk} desk */
function hintButtons(desk) {
  const found = placeholders(desk.form.spec.captures ?? [], desk.tried?.groups ?? []);
  const own = found.map(({ text: words, meaning }) => [words, meaning]);
  const general = desk.words.variables.filter(({ name }) => name !== "0").map(({ name, description }) => [`\${${name}}`, description]);
  return [h("span", { class: "muted small" }, "Insert:"), ...[...own, ...general].map(([words, meaning]) =>
    h("button", { type: "button", class: "chip mono hint-chip", title: meaning, dataset: { insert: words } }, h("bdi", null, words)))];
}

/**
 * The names go where somebody wrote last in this action.
 * @param {HTMLElement} element
 */
function follow(element) {
  const fits = (/** @type {EventTarget | null} */ target) =>
    (target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type === "text" && target.inputMode !== "decimal"))
    && !target.closest(".action-more") && !("plain" in target.dataset) ? target : null;
  let last = fits(element.querySelector("textarea")) ?? fits(element.querySelector(".action-fields input[type=text]"));
  element.addEventListener("focusin", (event) => {
    last = fits(event.target) ?? last;
  });
  element.addEventListener("click", (event) => {
    const words = event.target instanceof Element ? event.target.closest("[data-insert]") : null;
    if (!(words instanceof HTMLElement) || !last) return;
    last.setRangeText(words.dataset["insert"] ?? "", last.selectionStart ?? last.value.length, last.selectionEnd ?? last.value.length, "end");
    last.dispatchEvent(new Event("input", { bubbles: true }));
    last.focus();
  });
}

/**
 * @param {any} action
 * @param {string} path
 * @param {() => void} changed
 */
function conditionInput(action, path, changed) {
  const input = text(action.condition ?? "", (value) => {
    put(action, "condition", value);
    changed();
  }, { class: "mono", dir: "ltr", placeholder: "float(loss) > 10" });
  return field({ label: "Only if", path: `${path}.condition`, hint: "Left empty: always." }, input);
}

/**
 * @param {Desk} desk
 * @param {any} action
 * @param {number} at
 * @param {() => void} changed
 */
function orderInput(desk, action, at, changed) {
  if (at === 0) return null;
  /** @type {[string, string][]} */
  const options = [["", "Whatever became of those before"]];
  for (let other = 0; other < at; other++) {
    const name = `${other + 1}. ${title(desk.form.spec.actions[other].type)}`;
    options.push([`needs:${other}`, `Only after ${name} succeeded`], [`on_failure:${other}`, `Only after ${name} failed`]);
  }
  const before = action.needs?.length ? `needs:${action.needs[0]}` : action.on_failure?.length ? `on_failure:${action.on_failure[0]}` : "";
  const input = select(options, before, (value) => {
    delete action.needs;
    delete action.on_failure;
    const [which, index] = value.split(":");
    if (which) action[which] = [Number(index)];
    changed();
  });
  return field({ label: "Runs", path: `actions[${at}].needs` }, input);
}

/**
 * @param {Desk} desk
 * @param {(type: string) => void} use
 */
function chooseType(desk, use) {
  const groups = new Map();
  for (const each of desk.words.actions) groups.set(each.category, [...(groups.get(each.category) ?? []), each]);
  const choice = (/** @type {import("./types").ActionType} */ each) => h("button", {
    type: "button", class: "choice", disabled: !each.allowed, onClick: () => {
      dialog.close();
      use(each.type);
    },
  }, h("span", { class: "strong" }, title(each.type)), h("span", { class: "muted small" }, each.allowed ? each.description : `${each.why[0].toUpperCase()}${each.why.slice(1)}.`));
  const body = [...groups].map(([category, types]) => h("section", { class: "stack choice-group" }, h("h3", null, category), h("div", { class: "choices" }, types.map(choice))));
  const dialog = openDialog({ title: "Add an action", body, wide: true });
}

/** @param {string} type */
export function title(type) {
  const words = type.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

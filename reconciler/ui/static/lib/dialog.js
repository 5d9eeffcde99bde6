// @ts-check
// Dialogs and short messages. Dialogs are the browser's own: focus stays inside, Esc closes, focus goes back.
import { h, icon } from "./dom.js";

let made = 0;

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {"primary" | "danger" | "plain"} [kind]
 * @property {(close: () => void) => void | Promise<void>} [run] left out: only closes
 *
 * @typedef {object} Wanted
 * @property {string} title
 * @property {Node | string | (Node | string)[]} body
 * @property {Action[]} [actions]
 * @property {boolean} [wide]
 * @property {() => void} [onClose]
 */

/**
 * Open a dialog over the page; `close` and `element` let the opener work with it.
 * @param {Wanted} wanted
 * @returns {{close: () => void, element: HTMLDialogElement}}
 */
export function openDialog({ title, body, actions = [], wide = false, onClose }) {
  const before = document.activeElement;
  const id = `dialog-${++made}`;
  const close = () => element.close();
  /** @type {EventTarget | null} where the pointer was pressed: what is selected may end beside the dialog */
  let pressed = null;
  const cross = h("button", { type: "button", class: "button ghost icon-only", "aria-label": "Close", onClick: close }, icon("close"));
  const element = h(
    "dialog",
    { class: wide ? "dialog wide" : "dialog", "aria-labelledby": id, onPointerdown: (/** @type {PointerEvent} */ event) => void (pressed = event.target),
      onClick: (/** @type {MouseEvent} */ event) => event.target === element && pressed === element && close() },
    h("div", { class: "dialog-frame" },
      h("header", { class: "dialog-head" }, h("h2", { id }, title), cross),
      h("div", { class: "dialog-body" }, body),
      actions.length ? h("footer", { class: "dialog-foot" }, actions.map((action) => button(action, close))) : null),
  );
  element.addEventListener("close", () => {
    element.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    onClose?.();
  });
  document.body.append(element);
  element.showModal();
  return { close, element };
}

/**
 * Ask before something that cannot be undone; true: go on.
 * @param {{title: string, text: string | Node | (Node | string)[], confirm: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirmDialog({ title, text, confirm, danger = false }) {
  return new Promise((resolve) => {
    let said = false;
    const yes = (/** @type {() => void} */ close) => {
      said = true;
      close();
    };
    openDialog({
      title,
      body: typeof text === "string" ? h("p", null, text) : text,
      actions: [{ label: "Cancel" }, { label: confirm, kind: danger ? "danger" : "primary", run: yes }],
      onClose: () => resolve(said),
    });
  });
}

/**
 * Say shortly what came of something; screen readers read it, too. Errors stay until they are closed.
 * @param {string} message
 * @param {"good" | "bad" | "plain"} [kind]
 */
export function toast(message, kind = "plain") {
  const region = document.getElementById(kind === "bad" ? "alerts" : "toasts");
  if (!region) return;
  const gone = () => element.remove();
  const cross = h("button", { type: "button", class: "button ghost icon-only", "aria-label": "Dismiss", onClick: gone }, icon("close"));
  const element = h("div", { class: `toast ${kind}` }, h("span", { dir: "auto" }, message), cross);
  region.append(element);
  while (region.children.length > 4) region.firstElementChild?.remove();
  if (kind !== "bad") window.setTimeout(gone, 6000);
}

/**
 * @param {Action} action
 * @param {() => void} close
 */
function button({ label, kind = "plain", run }, close) {
  const press = async () => {
    if (!run) return close();
    element.disabled = true;
    try {
      await run(close);
    } finally {
      element.disabled = false;
    }
  };
  const element = h("button", { type: "button", class: `button ${kind}`, onClick: press }, label);
  return element;
}

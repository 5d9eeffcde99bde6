// @ts-check
// What a page shows when it has nothing (yet), or something went wrong.
import { ApiError } from "./api.js";
import { h, icon } from "./dom.js";

/**
 * Nothing is here: say why, and what to do next.
 * @param {{title: string, text: string | Node | (Node | string)[], action?: Node | null}} wanted
 */
export function emptyState({ title, text, action }) {
  return h("div", { class: "state" }, h("h2", null, title), h("div", { class: "state-text" }, text), action ?? null);
}

/**
 * Something went wrong: say what, and what to do about it.
 * @param {unknown} error
 * @param {(() => void) | null} [retry]
 */
export function errorState(error, retry) {
  const [title, detail, remedy] = told(error);
  return h("div", { class: "state bad", role: "alert" },
    icon("warning"),
    h("h2", null, title),
    h("p", { class: "state-text", dir: "auto" }, detail),
    remedy ? h("p", { class: "state-text muted", dir: "auto" }, `What to do: ${remedy}`) : null,
    retry ? h("button", { type: "button", class: "button", onClick: () => retry() }, icon("refresh"), "Try again") : null);
}

/**
 * It is on its way; room is kept for it. It shows only after a moment, so that fast answers do not flicker.
 * @param {string} [what]
 */
export function loading(what = "Loading…") {
  return h("div", { class: "state loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), h("span", null, what));
}

/**
 * One line for a toast.
 * @param {unknown} error
 */
export function errorText(error) {
  const [title, detail, remedy] = told(error);
  return [detail || title, remedy].filter(Boolean).join(" — ");
}

/**
 * @param {unknown} error
 * @returns {[string, string, string]}
 */
function told(error) {
  if (error instanceof ApiError) return [error.title, error.detail, error.remedy];
  const text = error instanceof Error ? error.message : String(error);
  return ["This page has a problem", text, "load the page again; if it stays, tell whoever runs this server"];
}

// @ts-check
import { h } from "../lib/dom.js";
import { emptyState } from "../lib/states.js";

/**
 * The page for addresses that have none.
 * @type {import("../types").Page["show"]}
 */
export function show(root, ctx) {
  ctx.title("No such page");
  root.append(
    h("h1", null, "No such page"),
    emptyState({ title: "There is nothing under this address", text: h("code", { dir: "auto" }, location.pathname), action: h("a", { class: "button primary", href: "/" }, "To the watchers") }),
  );
}

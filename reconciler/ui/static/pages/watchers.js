// @ts-check
import { h } from "../lib/dom.js";
/** @type {import("../types").Page["show"]} */
export function show(root) {
  root.append(h("h1", null, "Watchers"));
}

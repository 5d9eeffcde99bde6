// @ts-check
// For a browser without a session: how to get in.
import { ApiError, request } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { errorText } from "../lib/states.js";
import { clearShell } from "../shell.js";

/** @type {Record<string, string>} */
const PROBLEMS = {
  "used-link": "That one-time URL was used already, or is older than an hour. Make a new one with `reconcile apikey link`.",
  "signed-out": "You are signed out.",
};

/** @type {import("../types").Page["show"]} */
export function show(root, ctx) {
  clearShell();
  ctx.title("Sign in");
  const fault = h("p", { class: "fault", id: "key-fault", role: "alert" });
  const field = h("input", { type: "password", id: "key", name: "key", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-hint key-fault" });
  const button = h("button", { type: "submit", class: "button primary" }, "Sign in");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    replace(fault);
    button.disabled = true;
    const problem = await enter(field.value.trim(), ctx.query.get("from"));
    button.disabled = false;
    if (!problem) return;
    replace(fault, problem);
    field.setAttribute("aria-invalid", "true");
    field.focus();
  };
  const told = PROBLEMS[ctx.query.get("problem") ?? ""];
  root.append(
    h("div", { class: "sign-in panel" },
      h("h1", null, "Sign in"),
      told ? h("p", { class: "notice warn" }, ...withCode(told)) : null,
      h("p", null, "Nobody sees jobs, their output or watchers without a key."),
      h("ol", { class: "steps" },
        h("li", null, h("strong", null, "The easiest way: "), "open the URL that ", h("code", null, "reconcile serve"), " printed. It signs one browser in, once, within an hour."),
        h("li", null, h("strong", null, "No URL at hand? "), "Run ", h("code", null, "reconcile apikey link"), " where the server runs; it prints a new one."),
        h("li", null, h("strong", null, "Or with a key: "), "paste it, or the URL, here.")),
      h("form", { class: "stack", onSubmit: submit },
        h("div", { class: "field" },
          h("label", { for: "key" }, "Key or one-time URL"),
          field,
          h("span", { class: "hint", id: "key-hint" }, "Keys begin with ", h("code", null, "rk_"), "; ", h("code", null, "reconcile apikey create NAME"), " makes one."),
          fault),
        h("div", null, button))),
  );
}

/**
 * Sign in; returns what is wrong, or null and leaves.
 * @param {string} text
 * @param {string | null} from where the person wanted to go
 */
async function enter(text, from) {
  const link = /[?&]token=([\w-]+)/.exec(text);
  if (link) return void location.assign(`/login?token=${encodeURIComponent(link[1])}`);
  if (!/^rk_[\w-]+$/.test(text)) return "That is no key: keys begin with rk_, and have letters, digits, - and _ alone.";
  try {
    await request("POST", "/api/session", { key: text });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return "That key is not valid (any more).";
    return errorText(error);
  }
  location.assign(from && /^\/(?![/\\])/.test(from) ? from : "/");
  return null;
}

/**
 * Text with `code` in it.
 * @param {string} text
 */
function withCode(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));
}

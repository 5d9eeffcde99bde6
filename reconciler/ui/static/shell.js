// @ts-check
// What stands around every page: navigation, the state of the connection, the theme, who is signed in.
import { del } from "./lib/api.js";
import { confirmDialog, toast } from "./lib/dialog.js";
import { h, icon, replace, setText } from "./lib/dom.js";
import { live } from "./lib/live.js";
import { errorText } from "./lib/states.js";

/** @type {[string, string, string, Parameters<typeof icon>[0]][]} module, address, name, picture */
const LINKS = [
  ["watchers", "/", "Watchers", "eye"],
  ["jobs", "/jobs", "Jobs", "jobs"],
  ["metrics", "/metrics", "Metrics", "chart"],
  ["plan", "/plan", "Plan", "plan"],
  ["hosts", "/hosts", "Hosts", "host"],
  ["templates", "/templates", "Templates", "template"],
];
const nav = /** @type {HTMLElement} */ (document.getElementById("nav"));
const tools = /** @type {HTMLElement} */ (document.getElementById("tools"));
const menu = /** @type {HTMLButtonElement} */ (document.getElementById("menu"));

/**
 * Draw it for who is signed in.
 * @param {import("./types").Session} session
 * @param {(url: string) => void} navigate
 */
export function drawShell(session, navigate) {
  document.documentElement.dataset["scope"] = session.scope;
  replace(nav, h("ul", null, LINKS.map(([module, url, name, picture]) =>
    h("li", null, h("a", { href: url, class: "nav-link", dataset: { module } }, icon(picture), h("span", null, name))))), account(session, navigate));
  const fresh = session.scope === "read" ? null
    : h("a", { href: "/new", class: "button primary new-link" }, icon("plus"), h("span", null, "New watcher"));
  replace(tools, connection(), fresh, themeButton(), account(session, navigate));
}

/** Take it away again: nobody is signed in. */
export function clearShell() {
  replace(nav);
  replace(tools, themeButton());
}

/** @param {string} module */
export function markCurrent(module) {
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset["module"] === module) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  fold();
}

/** @type {Record<string, [string, string]>} */
const STATUS = {
  connected: ["Live", "What happens is shown as it happens"],
  connecting: ["Connecting", "Connecting to the server"],
  reconnecting: ["Reconnecting", "The connection is lost; what is shown may be old"],
  off: ["Not connected", "What is shown may be old"],
};

function connection() {
  const text = h("span", { class: "live-text" });
  const element = h("span", { class: "live", role: "status" }, h("span", { class: "dot", "aria-hidden": "true" }), text);
  const draw = () => {
    const [name, meaning] = STATUS[live.status];
    element.dataset["status"] = live.status;
    element.title = meaning;
    setText(text, name);
  };
  live.on("status", () => element.isConnected && draw());
  draw();
  return element;
}

function themeButton() {
  const button = h("button", { type: "button", class: "button ghost icon-only theme", onClick: () => switchTheme(button) }, icon("sun"));
  label(button);
  return button;
}

function isDark() {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** @param {HTMLElement} button */
function label(button) {
  button.setAttribute("aria-label", isDark() ? "Use the light theme" : "Use the dark theme");
}

/** @param {HTMLElement} button */
function switchTheme(button) {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = theme;
  label(button);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // storage is forbidden: it holds until the page is closed
  }
}

/**
 * @param {import("./types").Session} session
 * @param {(url: string) => void} navigate
 */
function account(session, navigate) {
  const leave = async () => {
    const text = "To come back you need a new one-time URL (`reconcile apikey link`) or a key.";
    if (!(await confirmDialog({ title: "Sign this browser out?", text, confirm: "Sign out" }))) return;
    try {
      await del("/api/session");
      navigate("/sign-in?problem=signed-out");
      location.reload();
    } catch (error) {
      toast(errorText(error), "bad");
    }
  };
  return h("button", { type: "button", class: "button ghost account", title: `Signed in as ${session.name}, scope ${session.scope}`, onClick: leave }, "Sign out");
}

function fold() {
  document.body.classList.remove("menu-open");
  menu.setAttribute("aria-expanded", "false");
}

replace(menu, icon("menu"));
menu.addEventListener("click", () => {
  const open = document.body.classList.toggle("menu-open");
  menu.setAttribute("aria-expanded", String(open));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !document.body.classList.contains("menu-open")) return;
  fold();
  menu.focus();
});

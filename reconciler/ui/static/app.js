// @ts-check
// The shell: which page stands under which address, and what is the same around all of them.
import { ApiError, get, isAbort, signedOut } from "./lib/api.js";
import { h, replace } from "./lib/dom.js";
import { live } from "./lib/live.js";
import { errorState, loading } from "./lib/states.js";
import { drawShell, markCurrent } from "./shell.js";

/** @typedef {import("./types").Context} Context */
/** @typedef {import("./types").Page} Page */

/**
 * First part of the path -> module in pages/, and the title until the page sets its own.
 * @type {Record<string, [string, string]>}
 */
const PAGES = {
  "": ["watchers", "Watchers"],
  watchers: ["watchers", "Watchers"],
  events: ["watchers", "Events"],
  jobs: ["jobs", "Jobs"],
  metrics: ["metrics", "Metrics"],
  plan: ["plan", "Plan"],
  hosts: ["hosts", "Hosts"],
  templates: ["templates", "Templates"],
  new: ["new", "New watcher"],
  edit: ["edit", "Edit a watcher"],
  "sign-in": ["sign-in", "Sign in"],
};
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {import("./types").Session | null} */
let session = null;
let leaving = new AbortController();
/**
 * How far each entry of the history was scrolled.
 * @type {Map<string, number>}
 */
const scrolled = new Map();
let here = entry();

/** Which entry of the history this is. */
function entry() {
  return String(history.state?.at ?? 0);
}

/**
 * Go to another address of these pages.
 * @param {string} url
 * @param {{replace?: boolean}} [options]
 */
function navigate(url, options = {}) {
  const state = { at: Date.now() };
  if (options.replace) history.replaceState(state, "", url);
  else history.pushState(state, "", url);
  left();
}

/** The address is another now: keep how far the page of the one before was scrolled. */
function left() {
  scrolled.set(here, window.scrollY);
  here = entry();
  void show(true);
}

/**
 * Show the page of the present address.
 * @param {boolean} moved by a person, so the focus goes to the new page
 */
async function show(moved) {
  leaving.abort();
  leaving = new AbortController();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close(); // it belongs to the page that is left
  const signal = leaving.signal;
  const [first, ...path] = location.pathname.split("/").slice(1).map(decoded);
  const [module, title] = PAGES[first] ?? ["missing", "No such page"];
  document.title = `${title} · reconcile`;
  document.dispatchEvent(new CustomEvent("navigated"));
  markCurrent(module);
  const root = h("div", { class: `page page-${module}` });
  const slow = window.setTimeout(() => signal.aborted || root.hasChildNodes() || replace(root, loading("The page is being loaded…")), 400);
  replace(main, root);
  try {
    const coming = load(module); // while the server is asked who this is
    coming.catch(() => undefined);
    if (!(await admitted(module, signal))) return;
    const page = await coming;
    if (signal.aborted) return;
    clearTimeout(slow);
    replace(root);
    await page.show(root, context(path, signal));
  } catch (error) {
    if (!signal.aborted && !isAbort(error)) failed(root, error);
  } finally {
    clearTimeout(slow);
  }
  if (moved && !signal.aborted) arrive(root);
}

/**
 * Whether the session is known, so that the page can be shown; else the page to sign in is.
 * @param {string} module
 * @param {AbortSignal} signal
 */
async function admitted(module, signal) {
  if (module === "sign-in" || session) return true;
  try {
    session = await get("/api/session", undefined, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false; // told by `signedOut`
    throw error;
  }
  drawShell(/** @type {import("./types").Session} */ (session), navigate);
  markCurrent(module);
  live.start();
  return true;
}

/**
 * @param {string} module
 * @returns {Promise<Page>}
 */
async function load(module) {
  try {
    return await import(`./pages/${module}.js`);
  } catch (error) {
    const told = `the page's program could not be loaded: ${error instanceof Error ? error.message : error}`;
    throw new ApiError(0, { detail: told, remedy: "is the server still running? Then try again" });
  }
}

/**
 * @param {string[]} path
 * @param {AbortSignal} signal
 * @returns {Context}
 */
function context(path, signal) {
  const query = new URLSearchParams(location.search);
  return {
    path: path.filter(Boolean),
    query,
    signal,
    navigate: (url, options) => void (signal.aborted || navigate(url, options)), // who has left stays where they went
    session: /** @type {import("./types").Session} */ (session),
    title: (text) => void (document.title = `${text} · reconcile`),
    setQuery: (words) => {
      if (signal.aborted) return;
      for (const [name, value] of Object.entries(words)) {
        if (value) query.set(name, value);
        else query.delete(name);
      }
      const text = query.toString();
      const search = text && `?${text}`;
      if (search !== location.search) history.replaceState(history.state, "", location.pathname + search); // browsers take few a second
    },
  };
}

/**
 * A page that fails takes nothing else with it.
 * @param {HTMLElement} root
 * @param {unknown} error
 */
function failed(root, error) {
  if (!(error instanceof ApiError)) console.error(error);
  replace(root, errorState(error, () => void show(true)));
}

/** @param {HTMLElement} root */
function arrive(root) {
  if (!root.contains(document.activeElement)) focusHeading(root); // else somebody is at work in it already
  window.scrollTo({ top: scrolled.get(here) ?? 0 });
}

/** @param {HTMLElement} within */
function focusHeading(within) {
  const heading = within.querySelector("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Links between these pages do not load the document again.
 * @param {MouseEvent} event
 */
function clicked(event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.classList.contains("skip")) {
    event.preventDefault();
    return focusHeading(main);
  }
  const url = new URL(link.href, location.href);
  const first = url.pathname.split("/")[1];
  if (url.origin !== location.origin || link.target || link.hasAttribute("download") || !(first in PAGES)) return;
  event.preventDefault();
  navigate(url.pathname + url.search + url.hash);
}

document.addEventListener("click", clicked);
window.addEventListener("popstate", left);
window.addEventListener("unhandledrejection", (event) => isAbort(event.reason) && event.preventDefault());
signedOut.addEventListener("signedout", () => {
  session = null;
  live.stop();
  if (location.pathname === "/sign-in") return; // another answer says so, too
  const from = location.pathname + location.search;
  navigate(`/sign-in${from !== "/" ? `?from=${encodeURIComponent(from)}` : ""}`, { replace: true });
});
history.scrollRestoration = "manual";
void show(false);

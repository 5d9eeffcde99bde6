// @ts-check
// Looking again while a page is shown: every so often, and soon after something happened that has to do with it.
import { isAbort } from "../lib/api.js";
import { live } from "../lib/live.js";

/** Ms between two calls, however much happens. */
const BETWEEN = 1000;
/** Ms that what comes with an event is waited for. */
const SETTLED = 400;

/**
 * Call `run` every `every` ms while the page is in view, and soon after an event that `concerns`. It is not
 * called again before it has ended. Returns how to have it called now.
 * @param {AbortSignal} signal ends it
 * @param {() => Promise<void>} run
 * @param {{every: number, concerns?: (event: any) => boolean}} when
 */
export function again(signal, run, { every, concerns = () => false }) {
  let timer = 0;
  let due = Infinity;
  let ended = 0;
  let running = false;
  let wanted = false;
  const arm = (/** @type {number} */ wait) => {
    if (signal.aborted || Date.now() + wait >= due) return; // what is due sooner stays so, however much happens
    clearTimeout(timer);
    due = Date.now() + wait;
    timer = window.setTimeout(call, wait);
  };
  const call = async () => {
    if (running) return void (wanted = true);
    clearTimeout(timer);
    running = true;
    try {
      if (!document.hidden) await run();
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) console.warn(error); // the page says what it can; this is tried again
    }
    running = false;
    due = Infinity;
    ended = Date.now();
    arm(wanted ? BETWEEN : every);
    wanted = false;
  };
  const soon = (/** @type {any} */ message) => {
    if (!concerns(message.event)) return;
    if (running) wanted = true;
    else arm(Math.max(SETTLED, ended + BETWEEN - Date.now()));
  };
  const shown = () => document.hidden || void call();
  const off = [live.on("event", soon), live.on("watcher_event", soon), live.on("refetch", () => void call())];
  document.addEventListener("visibilitychange", shown);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", shown);
    for (const each of off) each();
  });
  arm(every);
  return call;
}

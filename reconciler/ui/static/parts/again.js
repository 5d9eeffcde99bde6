// @ts-check
// Looking again while a page is shown: every so often, and soon after something happened that has to do with it.
import { live } from "../lib/live.js";

/**
 * Call `run` every `every` ms while the page is in view, and within half a second of an event that `concerns`. It is not
 * called again before it has ended. Returns how to have it called now.
 * @param {AbortSignal} signal ends it
 * @param {() => Promise<void>} run
 * @param {{every: number, concerns?: (event: any) => boolean}} when
 */
export function again(signal, run, { every, concerns = () => false }) {
  let timer = 0;
  let running = false;
  let wanted = false;
  const call = async () => {
    if (running) return void (wanted = true);
    clearTimeout(timer);
    running = true;
    try {
      if (!document.hidden) await run();
    } finally {
      running = false;
      if (!signal.aborted) timer = window.setTimeout(call, wanted ? 500 : every);
      wanted = false;
    }
  };
  const soon = (/** @type {any} */ message) => {
    if (!concerns(message.event)) return;
    if (running) return void (wanted = true);
    clearTimeout(timer);
    timer = window.setTimeout(call, 400);
  };
  const shown = () => document.hidden || void call();
  const off = [live.on("event", soon), live.on("watcher_event", soon), live.on("refetch", () => void call())];
  document.addEventListener("visibilitychange", shown);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", shown);
    for (const each of off) each();
  });
  timer = window.setTimeout(call, every);
  return call;
}

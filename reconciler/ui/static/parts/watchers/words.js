// @ts-check
// Words for what watchers are, and how they stand. Pure.

/** @typedef {import("../../types").Watcher} Watcher */

/**
 * Name, colour, and what it means.
 * @type {Record<string, [string, string, string]>}
 */
export const STATES = {
  active: ["Active", "good", "It watches its job"],
  paused: ["Paused", "warn", "It is held still; its position waits"],
  disabled: ["Disabled", "bad", "It failed too often, or has an error that an edit must mend"],
  triggered: ["Triggered", "info", "It has acted as often as it may"],
  completed: ["Completed", "", "Its job has ended, and everything was read"],
  static: ["Static", "", "Its job had ended before; it acts on request only"],
  stopped: ["Stopped", "", "No file wants it any more"],
};

/** @type {WeakMap<Watcher, string>} */
const texts = new WeakMap();

/**
 * Where a search looks: name, job, host, pattern, labels.
 * @param {Watcher} watcher
 */
export function searchText(watcher) {
  let text = texts.get(watcher);
  if (text === undefined) {
    const labels = Object.entries(watcher.labels).map(([key, value]) => `${key}=${value}`).join(" ");
    text = `${watcher.name} ${watcher.job_id} ${watcher.job_name} ${watcher.hostname} ${labels} ${watcher.pattern}`;
    texts.set(watcher, text);
  }
  return text;
}

/**
 * Who holds it and why; "" where nobody does.
 * @param {Watcher} watcher
 */
export function heldBy(watcher) {
  return watcher.holds
    .map((hold) => {
      const who = hold.kind === "declared" ? "its file says suspend" : hold.kind === "self" ? "by its own action" : `by ${hold.by || "somebody"}`;
      return hold.reason && hold.kind !== "declared" ? `${who}: ${hold.reason}` : who;
    })
    .join("; ");
}

/**
 * The place it comes from: file, line, commit.
 * @param {{file: string, line: number, commit: string}} origin
 */
export function originText(origin) {
  const line = origin.line ? `:${origin.line}` : "";
  return `${origin.file}${line}${origin.commit ? ` @ ${origin.commit.slice(0, 10)}` : ""}`;
}

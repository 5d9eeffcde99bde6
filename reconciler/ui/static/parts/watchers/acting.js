// @ts-check
// What a person does to watchers: pause, resume, trigger, delete, to one or to many; each says what became of it.
import { ApiError, del, post } from "../../lib/api.js";
import { confirmDialog, openDialog, toast } from "../../lib/dialog.js";
import { foreign, h } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { errorText } from "../../lib/states.js";
import { watchers as store } from "../../lib/store.js";

/** @typedef {import("../../types").Watcher} Watcher */

/** Most ids in one request. */
const MOST = 1000;

/** @param {Watcher} watcher */
export async function pause(watcher) {
  await tell(async () => {
    const done = await post(`/api/watchers/${watcher.id}/pause`, {});
    store.take(done.watcher);
    return `${watcher.name} is paused`;
  });
}

/** @param {Watcher} watcher */
export async function resume(watcher) {
  await tell(async () => {
    const done = await post(`/api/watchers/${watcher.id}/resume`, {});
    store.take(done.watcher);
    return `${watcher.name} goes on`;
  });
}

/**
 * Run its actions once; they are named before, since they do what they say.
 * @param {Watcher} watcher
 */
export async function trigger(watcher) {
  const list = h("ul", { class: "plain-list" }, watcher.actions.map((action) => h("li", null, foreign(action.type, "mono"))));
  const text = [h("p", null, "Its actions run once, on the newest match:"), list];
  if (!(await confirmDialog({ title: `Trigger ${shortened(watcher.name)} now?`, text, confirm: "Trigger" }))) return;
  await tell(async () => {
    const done = await post(`/api/watchers/${watcher.id}/trigger`);
    if (!done.success) throw new ApiError(200, { detail: done.message });
    return `${watcher.name}: ${done.message}`;
  });
}

/**
 * Delete it; true: it is gone. What a file elsewhere owns is told with that file.
 * @param {Watcher} watcher
 */
export async function remove(watcher) {
  const text = "It stops at once, and its file goes. Its events and metrics stay.";
  if (!(await confirmDialog({ title: `Delete ${shortened(watcher.name)}?`, text, confirm: "Delete", danger: true }))) return false;
  try {
    await removed(watcher);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === "aborted") return false;
    if (error instanceof ApiError && error.code === "not-ours") owned(watcher, error);
    else toast(errorText(error), "bad");
    return false;
  }
}

/** @param {Watcher} watcher */
async function removed(watcher) {
  try {
    await del(`/api/watchers/${watcher.id}`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "several-jobs") throw error;
    const text = `${error.detail}. All of them are deleted, or none.`;
    const title = `Delete all watchers of ${shortened(watcher.name)}?`;
    if (!(await confirmDialog({ title, text, confirm: "Delete all", danger: true }))) throw new ApiError(0, { code: "aborted" });
    await del(`/api/watchers/${watcher.id}`, { scope: "spec" });
  }
  toast(`${watcher.name} is deleted`, "good");
  store.touch([watcher.id]);
}

/**
 * @param {Watcher} watcher
 * @param {ApiError} error
 */
function owned(watcher, error) {
  openDialog({
    title: "Its file lies elsewhere",
    body: [
      h("p", { dir: "auto" }, error.detail),
      h("dl", { class: "facts" }, h("dt", null, "File"), h("dd", null, foreign(`${error.file}${error.line ? `:${error.line}` : ""}`, "mono"))),
      h("p", { class: "muted", dir: "auto" }, error.remedy || `Delete ${watcher.name} there, and it stops by itself.`),
    ],
    actions: [{ label: "Close" }],
  });
}

/**
 * Do one thing to many; what could not be done is listed.
 * @param {"pause" | "resume" | "delete"} action
 * @param {number[]} ids
 * @returns {Promise<number[]>} those that were asked for, all but where a person or the server broke it off
 */
export async function many(action, ids) {
  const body = action === "pause" ? await pauseQuestion(ids.length) : {};
  if (!body) return [];
  const text = "They stop at once, and their files go. Those whose files lie elsewhere, for instance in git, stay.";
  const title = `Delete ${plural(ids.length, "watcher")}?`;
  if (action === "delete" && !(await confirmDialog({ title, text, confirm: "Delete", danger: true }))) return [];
  /** @type {import("../../types").BulkDone["results"]} */
  const results = [];
  try {
    for (let at = 0; at < ids.length; at += MOST) {
      const done = await post("/api/watchers/bulk", { action, ids: ids.slice(at, at + MOST), ...body });
      results.push(...done.results);
    }
  } catch (error) {
    toast(errorText(error), "bad");
  }
  const done = results.map((each) => each.id);
  store.touch(done);
  if (done.length) report(action, results);
  return done;
}

/**
 * @param {number} count
 * @returns {Promise<{reason: string, until?: string} | null>}
 */
function pauseQuestion(count) {
  return new Promise((resolve) => {
    /** @type {{reason: string, until?: string} | null} */
    let said = null;
    const reason = h("input", { type: "text", id: "pause-reason", maxlength: 500, autocomplete: "off" });
    const until = h("input", { type: "datetime-local", id: "pause-until" });
    const done = (/** @type {() => void} */ close) => {
      said = { reason: reason.value, ...(until.value ? { until: new Date(until.value).toISOString() } : {}) };
      close();
    };
    openDialog({
      title: `Pause ${plural(count, "watcher")}`,
      body: [
        h("div", { class: "field" }, h("label", { for: "pause-reason" }, "Why (others see it)"), reason),
        h("div", { class: "field" }, h("label", { for: "pause-until" }, "Until (empty: until resumed)"), until),
      ],
      actions: [{ label: "Cancel" }, { label: "Pause", kind: "primary", run: done }],
      onClose: () => resolve(said),
    });
  });
}

/**
 * @param {"pause" | "resume" | "delete"} action
 * @param {import("../../types").BulkDone["results"]} results
 */
function report(action, results) {
  const word = { pause: "paused", resume: "resumed", delete: "deleted" }[action];
  const failed = results.filter((each) => !each.success);
  const good = results.length - failed.length;
  if (good) toast(`${plural(good, "watcher")} ${word}`, "good");
  if (!failed.length) return;
  const rows = failed.slice(0, 200).map((each) =>
    h("li", null, foreign(store.get(each.id)?.name ?? `watcher ${each.id}`, "strong"), ": ", foreign(each.message)));
  openDialog({
    title: `${plural(failed.length, "watcher")} could not be ${word}`,
    body: h("ul", { class: "plain-list" }, rows),
    actions: [{ label: "Close" }],
  });
}

/** @param {() => Promise<string>} work */
async function tell(work) {
  try {
    toast(await work(), "good");
  } catch (error) {
    toast(errorText(error), "bad");
  }
}

/** @param {string} name */
function shortened(name) {
  return name.length > 60 ? `${name.slice(0, 59)}…` : name;
}

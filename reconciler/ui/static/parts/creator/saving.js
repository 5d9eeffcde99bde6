// @ts-check
// Saving: one request for each file; what comes of it, and what the API refuses.
import { ApiError, post, put } from "../../lib/api.js";
import { openDialog, toast } from "../../lib/dialog.js";
import { foreign, h } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { errorText } from "../../lib/states.js";
import { copyText } from "./file.js";
import { bodies, changes } from "./model.js";

/** @typedef {import("./types").Desk} Desk */

/**
 * Save what was entered; returns where to go then, null where nothing was saved. Faults are thrown as ApiError.
 * @param {Desk} desk
 * @returns {Promise<string | null>}
 */
export async function save(desk) {
  return desk.editing ? edit(desk, desk.editing) : create(desk);
}

/** @param {Desk} desk */
async function create(desk) {
  const wanted = bodies(desk.form);
  /** @type {import("../../types").WatcherWritten[]} */
  const made = [];
  /** @type {{body: Record<string, any>, error: unknown}[]} */
  const failed = [];
  for (const body of wanted) {
    try {
      made.push(await post("/api/watchers", body));
    } catch (error) {
      if (wanted.length === 1) throw error;
      failed.push({ body, error });
    }
  }
  if (failed.length) {
    toast(`${plural(made.length, "watcher")} created, ${failed.length} not: ${errorText(failed[0].error)}`, "bad");
    desk.form.jobs = desk.form.jobs.filter((job) => failed.some(({ body }) => body.job_id === job.job_id && body.hostname === job.hostname));
    desk.changed("jobs");
    return null;
  }
  toast(made.length > 1 ? `${plural(made.length, "watcher")} created` : made[0].message, "good");
  return made.length === 1 && made[0].id !== null ? `/watchers/${made[0].id}` : "/watchers";
}

/**
 * @param {Desk} desk
 * @param {import("../../types").WatcherDetail} watcher
 */
async function edit(desk, watcher) {
  const body = changes(desk.form, watcher.spec);
  const scope = watcher.jobs > 1 ? "spec" : "watcher";
  try {
    const done = await put(`/api/watchers/${watcher.id}`, body, { scope }, "yaml" in body ? watcher.tag : "");
    toast(done.message, "good");
    return `/watchers/${done.ids.includes(watcher.id) ? watcher.id : done.id ?? ""}`;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "not-ours") throw error;
    owned(error);
    return null;
  }
}

/**
 * Another layer owns the file: show what to commit there.
 * @param {ApiError} error
 */
export function owned(error) {
  openDialog({
    title: "Commit this change",
    wide: true,
    body: [h("p", null, foreign(error.detail), "."), h("p", { class: "muted" }, "Put this into ", h("code", null, foreign(error.file)), " and commit it."), h("pre", { class: "code-block", tabindex: "0" }, error.yaml)],
    actions: [{ label: "Close" }, { label: "Copy YAML", kind: "primary", run: () => copyText(error.yaml) }],
  });
}

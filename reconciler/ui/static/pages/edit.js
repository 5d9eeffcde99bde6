// @ts-check
// A watcher that is edited. Where another layer owns its file (git, ...), what to commit is shown in place of saving.
import { get, isAbort } from "../lib/api.js";
import { foreign, h, icon, replace } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { errorState, loading } from "../lib/states.js";
import { Creator } from "../parts/creator/creator.js";
import { Keep } from "../parts/creator/keep.js";
import { formOf } from "../parts/creator/model.js";
import { slim } from "../parts/creator/picker.js";
import { restored } from "./new.js";

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  const id = Number(ctx.path[0]);
  const heading = h("h1", null, "Edit a watcher");
  const notice = h("div", { class: "stack" });
  const place = h("div", null, loading());
  root.append(h("div", { class: "page-head" }, heading), notice, place);
  const keep = new Keep(`/edit/${id}`, ctx);
  try {
    const [words, watcher] = await Promise.all([get("/api/vocabulary", undefined, ctx.signal), get(`/api/watchers/${id}`, undefined, ctx.signal)]);
    ctx.title(`Edit ${watcher.name}`);
    replace(heading, "Edit ", foreign(watcher.name));
    watcher.spec.name = watcher.name;
    const kept = keep.restore();
    const form = kept ?? formOf(watcher.spec);
    form.base ??= { spec: watcher.spec, tag: watcher.tag };
    form.jobs = [slim({ job_id: watcher.job_id, hostname: watcher.hostname, name: watcher.job_name, state: "" })];
    const creator = new Creator({ form, words, ctx, editing: { ...watcher, ...form.base }, keep });
    replace(notice, kept ? restored(keep, ctx) : null, owner(watcher), several(watcher));
    replace(place, creator.element);
  } catch (error) {
    if (!isAbort(error)) replace(place, errorState(error, () => ctx.navigate(location.pathname, { replace: true })));
  }
}

/** @param {import("../types").WatcherDetail} watcher */
function owner(watcher) {
  if (watcher.writable) return null;
  return h("div", { class: "notice", role: "note" }, icon("link"), h("div", null,
    h("p", null, h("strong", null, "This watcher comes from a file that these pages do not write: "), h("bdi", { class: "mono small" }, `${watcher.file}:${watcher.line}`)),
    h("p", { class: "muted" }, "Change it here, then copy the YAML or download the patch, and commit that.")));
}

/** @param {import("../types").WatcherDetail} watcher */
function several(watcher) {
  if (watcher.jobs < 2) return null;
  return h("p", { class: "notice warn" }, icon("warning"), `This file is for ${plural(watcher.jobs, "job")}: an edit holds for all of them.`);
}

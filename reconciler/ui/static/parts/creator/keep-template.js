// @ts-check
// The dialog that keeps a watcher as a template.
import { ApiError, get, post } from "../../lib/api.js";
import { confirmDialog, openDialog, toast } from "../../lib/dialog.js";
import { h, replace } from "../../lib/dom.js";
import { errorText } from "../../lib/states.js";
import { field, text } from "./fields.js";

/**
 * Ask for name, category and tags, and save. `source`: `yaml`, or `watcher_id`.
 * @param {{yaml: string} | {watcher_id: number}} source
 * @param {string} name
 * @param {AbortSignal} signal of the page
 */
export async function keepTemplate(source, name, signal) {
  const known = await get("/api/templates", undefined, signal).catch(() => ({ categories: [], tags: [] }));
  if (signal.aborted) return;
  const words = { name, category: "", tags: "" };
  const fault = h("p", { class: "fault", role: "alert" });
  const send = async (/** @type {() => void} */ close, replacing = false) => {
    const tags = words.tags.split(",").map((tag) => tag.trim()).filter(Boolean);
    try {
      await post("/api/templates", { ...source, name: words.name, category: words.category.trim(), tags, replace: replacing });
      close();
      toast(`The template ${words.name} is saved`, "good");
    } catch (error) {
      if (error instanceof ApiError && error.code === "template-taken") {
        const text = `There is a template called ${words.name} already.`;
        if (await confirmDialog({ title: "Replace it?", text, confirm: "Replace" })) await send(close, true);
        return;
      }
      const more = error instanceof ApiError ? error.problems.map((problem) => problem.message) : [];
      replace(fault, [errorText(error), ...more].join(" · "));
    }
  };
  const list = (/** @type {string} */ id, /** @type {string[]} */ values) => h("datalist", { id }, values.map((value) => h("option", { value })));
  openDialog({
    title: "Save as a template",
    body: [
      h("p", { class: "muted" }, "Its job is left out; it can then be used for any job."),
      field({ label: "Name", path: "template-name" }, text(name, (value) => void (words.name = value), { maxlength: 200 })),
      field({ label: "Category", path: "template-category" }, text("", (value) => void (words.category = value), { list: "template-categories", maxlength: 40, placeholder: "Training" })),
      field({ label: "Tags", path: "template-tags", hint: "Divided by commas." }, text("", (value) => void (words.tags = value), { placeholder: "loss, metric" })),
      list("template-categories", known.categories), fault,
    ],
    actions: [{ label: "Cancel" }, { label: "Save the template", kind: "primary", run: (close) => send(close) }],
  });
}

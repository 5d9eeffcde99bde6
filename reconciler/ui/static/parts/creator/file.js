// @ts-check
// The file that would be written, exactly; as text to edit, to copy, or as a patch; and everything that is wrong with it.
import { toast } from "../../lib/dialog.js";
import { h, icon, replace, setText } from "../../lib/dom.js";
import { faultText } from "./fields.js";

/** @typedef {import("./types").Desk} Desk */
/** @typedef {import("./types").Draft} Draft */

/** @param {Desk} desk */
export function filePanel(desk) {
  const path = h("p", { class: "small muted file-path", dir: "auto" });
  const code = h("pre", { class: "code-block file-text", tabindex: "0", role: "region", "aria-label": "The file that will be written" });
  const faults = h("div", { class: "stack file-faults", role: "status" });
  const copy = h("button", { type: "button", class: "button small", onClick: () => void copyText(code.textContent ?? "") }, icon("copy"), "Copy YAML");
  const save = h("button", { type: "button", class: "button small", hidden: true, onClick: () => patch && download(patch) }, icon("download"), "Download patch");
  let patch = "";
  /**
   * @param {Draft} draft
   * @param {readonly import("../../types").Flaw[]} unplaced faults that no input shows
   */
  const show = (draft, unplaced) => {
    setText(code, draft.yaml);
    setText(path, draft.file ? short(draft.file) : "");
    path.title = draft.file;
    patch = draft.writable ? "" : draft.patch;
    save.hidden = !patch;
    replace(faults, state(draft), unplaced.map((flaw) => h("div", { class: "fault" }, faultText(flaw, draft.file))),
      draft.warnings.map((flaw) => h("div", { class: "notice warn small" }, faultText(flaw, draft.file))));
  };
  const hint = (/** @type {string} */ words) => {
    setText(code, "");
    setText(path, "");
    replace(faults, h("p", { class: "muted small" }, words));
  };
  const element = h("section", { class: "panel stack file", "aria-labelledby": "creator-file" },
    h("div", { class: "row wrap" }, h("h2", { id: "creator-file", class: "grow" }, desk.editing ? "The file, as it will be" : "The file that is written"), copy, save),
    path, faults, code);
  return { element, show, hint };
}

/** @param {Draft} draft */
function state(draft) {
  if (draft.valid) return h("p", { class: "row small valid" }, icon("check"), "Valid");
  const count = draft.errors.length;
  return h("p", { class: "small muted" }, count === 1 ? "One thing is still wrong or missing." : `${count} things are still wrong or missing.`);
}

/** @param {string} file */
function short(file) {
  return file.split("/").slice(-2).join("/");
}

/** @param {string} words */
export async function copyText(words) {
  try {
    await navigator.clipboard.writeText(words);
    toast("Copied", "good");
  } catch {
    toast("The browser does not let this page copy; select the text instead", "bad");
  }
}

/** @param {string} patch */
function download(patch) {
  const url = URL.createObjectURL(new Blob([patch], { type: "text/x-diff" }));
  const link = h("a", { href: url, download: "watcher.patch" });
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// @ts-check
// The creator: puts its parts together, asks the server what the file would be, and saves it.
import { ApiError, isAbort, post } from "../../lib/api.js";
import { debounce } from "../../lib/debounce.js";
import { confirmDialog, toast } from "../../lib/dialog.js";
import { h, replace } from "../../lib/dom.js";
import { errorText } from "../../lib/states.js";
import { actionsSection } from "./actions.js";
import { advancedSection } from "./advanced.js";
import { area, field, showFaults, text, within } from "./fields.js";
import { filePanel } from "./file.js";
import { jobsSection } from "./jobs.js";
import { keepTemplate } from "./keep-template.js";
import { bodies, changes, hasJobs, put, suggestedName } from "./model.js";
import { patternSection } from "./pattern.js";
import { samplePanel } from "./sample.js";
import { save } from "./saving.js";

/**
 * @typedef {import("./types").Desk} Desk
 * @typedef {object} About
 * @property {import("./types").Form} form
 * @property {import("./types").Vocabulary} words
 * @property {import("../../types").Context} ctx
 * @property {import("../../types").WatcherDetail | null} editing
 * @property {import("./keep.js").Keep} keep
 */

export class Creator {
  /** @param {About} about */
  constructor({ form, words, ctx, editing, keep }) {
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    /** @type {Set<() => void>} */
    this.testers = new Set();
    this.keep = keep;
    /** @type {Set<string>} */
    this.touched = new Set();
    this.tried = false;
    this.saving = false;
    /** @type {import("./types").Draft | null} */
    this.draft = null;
    /** Why there is no draft. */
    this.unmade = "";
    this.asking = new AbortController();
    this.ask = debounce(() => void this.preview(), 250);
    /** @type {Desk} */
    this.desk = {
      form, words, ctx, editing, tried: null,
      changed: (name) => this.changed(name),
      onChange: (listener) => void this.listeners.add(listener),
      onTried: (listener) => void this.testers.add(listener),
      setTried: (tried) => {
        this.desk.tried = tried;
        for (const listener of this.testers) listener();
      },
    };
    this.element = h("div", { class: "creator" });
    this.draw();
  }

  /** Draw all of it anew. */
  draw() {
    this.listeners.clear();
    this.testers.clear();
    const { desk } = this;
    this.file = filePanel(desk);
    const readOnly = desk.ctx.session.scope === "read";
    const own = desk.editing?.writable ?? true;
    const label = desk.editing ? "Save" : "Create watcher";
    this.button = h("button", { type: "submit", class: "button primary" }, own ? label : [h("span", { class: "when-wide" }, "Show "), "what to commit"]);
    if (readOnly) this.button.disabled = true;
    const bar = h("div", { class: "save-bar" }, this.button,
      h("button", { type: "button", class: "button", onClick: () => void this.switchMode() }, desk.form.text === null ? "Edit as text" : "Back to the form"),
      readOnly ? null : h("button", { type: "button", class: "button", onClick: () => void this.asTemplate() }, h("span", { class: "when-wide" }, "Save "), "as template"),
      h("span", { class: "fault save-fault", role: "alert" }));
    const parts = desk.form.text === null ? this.parts() : this.textParts();
    replace(this.element, h("form", { class: "creator-form", novalidate: true, onSubmit: (/** @type {Event} */ event) => (event.preventDefault(), void this.submit()) }, parts, bar));
    void this.preview();
  }

  parts() {
    const { desk } = this;
    const sample = samplePanel(desk);
    return [
      h("div", { class: "creator-main" }, patternSection(desk)),
      h("div", { class: "creator-side" }, sample.element, this.file?.element),
      h("div", { class: "creator-rest" }, actionsSection(desk), desk.editing ? target(desk) : jobsSection(desk), this.naming(), advancedSection(desk)),
    ];
  }

  textParts() {
    const { desk } = this;
    const input = area(desk.form.text ?? "", (value) => {
      desk.form.text = value;
      this.touched.add("yaml");
      desk.changed("yaml");
    }, { class: "mono text-mode", rows: 24, dir: "ltr", wrap: "off" });
    return [h("div", { class: "creator-main" }, h("section", { class: "panel stack" }, field({ label: "The whole file", path: "yaml", hint: "Comments stay as you write them." }, input))),
      h("div", { class: "creator-side" }, this.file?.element)];
  }

  naming() {
    const { desk } = this;
    const input = text(desk.form.spec.name ?? "", (value) => {
      desk.form.spec.name = value;
      desk.form.named = value !== "";
      desk.changed("name");
    }, { maxlength: 200 });
    const follow = () => {
      if (!desk.form.named) input.placeholder = suggestedName(desk.form);
    };
    desk.onChange(follow);
    follow();
    return h("section", { class: "panel stack", "aria-labelledby": "creator-name" }, h("h2", { id: "creator-name" }, "What it is called"),
      field({ label: "Name", path: "name", hint: "Left empty, it is made from the pattern." }, input));
  }

  /** @param {string} [name] */
  changed(name) {
    if (name) this.touched.add(name);
    this.keep.changed(this.desk.form);
    for (const listener of this.listeners) listener();
    this.ask();
  }

  /** Ask what would be written. */
  async preview() {
    this.asking.abort();
    const asking = (this.asking = new AbortController());
    const { desk } = this;
    if (!hasJobs(desk.form)) return void this.file?.hint("Choose a job, or say which jobs are meant: then it stands here.");
    try {
      const query = desk.editing ? `?watcher_id=${desk.editing.id}` : "";
      const body = desk.editing ? changes(desk.form, desk.editing.spec) : bodies(desk.form)[0];
      const draft = await post(`/api/watchers/preview${query}`, body, asking.signal);
      if (asking.signal.aborted) return;
      this.draft = draft;
      this.tell(draft.errors);
    } catch (error) {
      if (isAbort(error)) return;
      this.draft = null;
      this.unmade = error instanceof ApiError && error.problems.length ? error.problems.map((problem) => problem.message).join("; ") : errorText(error);
      this.file?.hint(this.unmade);
    }
  }

  /** @param {import("../../types").Flaw[]} errors */
  tell(errors) {
    if (!this.draft) return;
    const wanted = (/** @type {string} */ path) => this.tried || [...this.touched].some((name) => within(path, name));
    const left = showFaults(this.element, errors, this.draft.file, wanted);
    const always = this.tried || this.desk.form.text !== null;
    this.file?.show(this.draft, always ? left : left.filter((flaw) => [...this.touched].some((name) => within(flaw.field ?? "", name))));
  }

  async submit() {
    if (this.saving) return;
    this.saving = true;
    await this.save();
    this.saving = false;
  }

  async save() {
    const { desk } = this;
    this.tried = true;
    this.say("");
    if (!hasJobs(desk.form)) return this.say("Choose a job first, or say which jobs are meant.");
    this.ask.cancel();
    await this.preview();
    if (this.draft && !this.draft.valid) return this.refuse();
    if (this.button) this.button.disabled = true;
    try {
      const url = await save(desk);
      if (url === null) return;
      this.keep.done();
      desk.ctx.navigate(url);
    } catch (error) {
      if (error instanceof ApiError && error.problems.length) this.tell(error.problems);
      this.say(errorText(error));
    } finally {
      if (this.button) this.button.disabled = false;
    }
  }

  /** Lead to the first thing that is wrong. */
  refuse() {
    this.say("Something is still wrong or missing; see the marked fields.");
    for (const fold of this.element.querySelectorAll("details")) if (fold.querySelector("[aria-invalid=true]")) fold.open = true;
    const first = this.element.querySelector("[aria-invalid=true]");
    if (first instanceof HTMLElement) first.focus();
  }

  /** @param {string} words */
  say(words) {
    const place = this.element.querySelector(".save-fault");
    if (place) replace(place, words);
  }

  async switchMode() {
    const { form } = this.desk;
    if (form.text === null) {
      this.ask.cancel();
      await this.preview(); // what was typed last
      if (!this.draft && hasJobs(form)) return this.say(this.unmade);
      form.text = this.draft?.yaml || this.desk.editing?.yaml || "";
    } else {
      await this.preview();
      const taken = this.draft?.valid ? this.draft.spec : null;
      const text = taken ? "The form takes over what the text says; comments in it are not kept." : "The text is not valid, so the form cannot show it. Go back to what the form had?";
      if (!(await confirmDialog({ title: "Back to the form?", text, confirm: "Back to the form" }))) return;
      if (taken) this.take(taken);
      form.text = null;
    }
    this.changed("yaml");
    this.draw();
    const first = this.element.querySelector("textarea, select");
    if (first instanceof HTMLElement) first.focus();
  }

  /** @param {Record<string, any>} spec */
  take(spec) {
    const { form, editing } = this.desk;
    form.spec = structuredClone(spec);
    if (editing) return;
    form.named = true;
    form.target = "selector";
    form.spec.jobs ??= {};
  }

  async asTemplate() {
    this.tried = true;
    await this.preview();
    const { desk } = this;
    if (!this.draft && !hasJobs(desk.form)) {
      const body = { ...desk.form.spec, name: desk.form.spec.name || suggestedName(desk.form) };
      put(body, "jobs", "");
      this.draft = await post("/api/watchers/preview", body, desk.ctx.signal).catch(() => null);
    }
    if (!this.draft) return toast("There is no watcher yet that could be kept", "bad");
    this.tell(this.draft.errors);
    if (!this.draft.spec.name) return this.refuse();
    await keepTemplate({ yaml: this.draft.yaml }, this.draft.spec.name, desk.ctx.signal);
  }
}

/** @param {Desk} desk */
function target(desk) {
  const { editing } = desk;
  if (!editing || editing.spec.jobs?.ids?.length) return null;
  return jobsSection(desk);
}

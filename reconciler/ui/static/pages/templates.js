// @ts-check
// The library of templates: by category, with tags and a search; each leads to the creator.
import { del, get, isAbort } from "../lib/api.js";
import { debounce } from "../lib/debounce.js";
import { confirmDialog, openDialog, toast } from "../lib/dialog.js";
import { foreign, h, icon, replace, setText } from "../lib/dom.js";
import { rank } from "../lib/fuzzy.js";
import { cut, plural } from "../lib/format.js";
import { emptyState, errorState, errorText, loading } from "../lib/states.js";
import { title } from "../parts/creator/actions.js";
import { withCode } from "../parts/creator/fields.js";
import { copyText } from "../parts/creator/file.js";

/** @typedef {import("../types").Context} Context */
/** @typedef {import("../parts/creator/types").Template} Template */

/** @type {Record<Template["layer"], string>} */
const LAYERS = { package: "comes with reconcile", directory: "from your directory", git: "from a branch", api: "saved here" };

/** @type {import("../types").Page["show"]} */
export async function show(root, ctx) {
  ctx.title("Templates");
  const body = h("div", { class: "stack" }, loading());
  root.append(h("div", { class: "page-head" }, h("h1", null, "Templates"),
    h("p", { class: "lead" }, "Watchers to begin with. Put a file into a folder ", h("code", null, "templates"), " of your directory of watchers, or save one from the creator.")), body);
  try {
    const found = await get("/api/templates", undefined, ctx.signal);
    replace(body, new Library(found, ctx).parts());
  } catch (error) {
    if (!isAbort(error)) replace(body, errorState(error, () => ctx.navigate("/templates", { replace: true })));
  }
}

class Library {
  /**
   * @param {import("../parts/creator/types").TemplateList} found
   * @param {Context} ctx
   */
  constructor(found, ctx) {
    this.all = found.templates;
    this.tags = found.tags;
    this.ctx = ctx;
    this.query = ctx.query.get("q") ?? "";
    this.tag = ctx.query.get("tag") ?? "";
    this.list = h("div", { class: "stack template-groups" });
    this.count = h("p", { class: "muted small", role: "status" });
    this.chips = h("div", { class: "row wrap", role: "group", "aria-label": "Tags" });
  }

  parts() {
    const later = debounce(() => this.draw(), 120);
    const input = h("input", {
      type: "search", value: this.query, "aria-label": "Search templates", placeholder: "Search name, pattern, tag", autocomplete: "off", onInput: () => {
        this.query = input.value;
        later();
      },
    });
    this.draw();
    return [h("div", { class: "search" }, icon("search"), input), this.chips, this.count, this.list];
  }

  draw() {
    this.ctx.setQuery({ q: this.query, tag: this.tag });
    replace(this.chips, this.tags.map((tag) => h("button", {
      type: "button", class: "chip", "aria-pressed": this.tag === tag, onClick: () => {
        this.tag = this.tag === tag ? "" : tag;
        this.draw();
        [...this.chips.querySelectorAll("button")].find((each) => each.textContent === tag)?.focus();
      },
    }, foreign(tag))));
    const fitting = this.all.filter((each) => !this.tag || each.tags.includes(this.tag));
    const found = rank(this.query, fitting, (each) => `${each.name} ${each.description} ${each.pattern} ${each.tags.join(" ")} ${each.actions.join(" ")}`);
    setText(this.count, plural(found.length, "template"));
    if (!found.length) return void replace(this.list, emptyState({ title: "No template is like that", text: "Search for something else, or begin with an empty watcher.", action: h("a", { class: "button", href: "/new" }, "New watcher") }));
    const categories = [...new Set(this.all.map((each) => each.category))];
    replace(this.list, categories.map((category) => group(category, found.filter((each) => each.category === category), this)).filter(Boolean));
  }

  /** @param {Template} template */
  drop(template) {
    this.all = this.all.filter((each) => each !== template);
    this.draw();
  }
}

/**
 * @param {string} category
 * @param {Template[]} templates
 * @param {Library} library
 */
function group(category, templates, library) {
  if (!templates.length) return null;
  return h("section", { class: "stack" }, h("h2", null, foreign(category)), h("ul", { class: "template-grid" }, templates.map((each) => card(each, library))));
}

/**
 * @param {Template} template
 * @param {Library} library
 */
function card(template, library) {
  const writes = library.ctx.session.scope !== "read";
  const bad = template.errors[0];
  return h("li", { class: "card template" },
    h("h3", null, foreign(cut(template.name, 120)[0])),
    h("p", { class: "muted small template-about", dir: "auto" }, withCode(cut(template.description, 240)[0])),
    template.pattern ? h("code", { class: "template-pattern cut", title: cut(template.pattern, 500)[0] }, foreign(cut(template.pattern, 160)[0])) : h("span", { class: "muted small" }, bad ? "" : "No pattern: silence, time or the job's end"),
    h("div", { class: "row wrap" }, [...new Set(template.actions)].map((type) => h("span", { class: "chip info" }, title(type))), template.tags.map((tag) => h("span", { class: "chip" }, foreign(tag)))),
    bad ? h("p", { class: "fault small", dir: "auto" }, `It cannot be used: ${bad.message}${bad.remedy ? ` (${bad.remedy})` : ""}`) : null,
    h("div", { class: "row wrap template-foot" },
      bad || !writes ? null : h("a", { class: "button primary small", href: `/new?template=${encodeURIComponent(template.id)}`, "aria-label": `Use ${template.name}` }, "Use"),
      h("button", { type: "button", class: "button small", "aria-label": `Show ${template.name}`, onClick: () => void look(template, library.ctx.signal) }, "Show"),
      template.writable && writes ? h("button", { type: "button", class: "button small icon-only", "aria-label": `Delete ${template.name}`, onClick: () => void drop(template, library) }, icon("trash")) : null,
      h("span", { class: "muted small right" }, LAYERS[template.layer])));
}

/**
 * @param {Template} template
 * @param {AbortSignal} signal
 */
async function look(template, signal) {
  try {
    const found = await get(`/api/templates/${encodeURIComponent(template.id)}`, undefined, signal);
    openDialog({
      title: cut(template.name, 80)[0], wide: true,
      body: [h("p", { class: "muted small" }, foreign(template.file)), h("pre", { class: "code-block", tabindex: "0" }, found.yaml)],
      actions: [{ label: "Close" }, { label: "Copy YAML", kind: "primary", run: () => copyText(found.yaml) }],
    });
  } catch (error) {
    if (!isAbort(error)) toast(errorText(error), "bad");
  }
}

/**
 * @param {Template} template
 * @param {Library} library
 */
async function drop(template, library) {
  if (!(await confirmDialog({ title: "Delete this template?", text: `${template.name} is taken out of the library; watchers made of it stay.`, confirm: "Delete", danger: true }))) return;
  try {
    await del(`/api/templates/${encodeURIComponent(template.id)}`);
    library.drop(template);
    toast("The template is deleted", "good");
  } catch (error) {
    toast(errorText(error), "bad");
  }
}

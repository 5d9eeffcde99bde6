// @ts-check
// What to look for: the pattern, how it is run, names for what its groups capture. It is tried by the production matcher.
import { h, replace, setText } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { area, field, select, text } from "./fields.js";
import { expressions, kindOf, put, setKind } from "./model.js";
import { QUICK } from "./quick.js";

/** @typedef {import("./types").Desk} Desk */
/** @typedef {import("./types").Kind} Kind */

/** @type {[Kind, string][]} */
const KINDS = [
  ["pattern", "A pattern"],
  ["any", "Several patterns, one is enough"],
  ["all", "Several patterns, all are needed"],
  ["preset", "A ready-made pack"],
  ["none", "No line: silence, time left or the job's end"],
];

/** @type {Record<string, [string, string]>} */
const TIERS = {
  hyperscan: ["Fast", "found by Hyperscan in one pass with all other patterns"],
  re2: ["Fast", "run by RE2, in time that grows with the line alone"],
  fallback: ["Slower", "run by backtracking within a time limit"],
};

/** @param {Desk} desk */
export function patternSection(desk) {
  const body = h("div", { class: "stack" });
  const kind = select(KINDS, kindOf(desk.form), (value) => {
    setKind(desk.form, /** @type {Kind} */ (value));
    draw();
    desk.changed("pattern");
  });
  const draw = () => replace(body, inputs(desk, draw));
  draw();
  return h("section", { class: "panel stack", "aria-labelledby": "creator-pattern" },
    h("h2", { id: "creator-pattern" }, "What to look for"),
    quick(desk, () => {
      kind.value = kindOf(desk.form);
      draw();
    }),
    field({ label: "Looks for", path: "kind" }, kind),
    body,
    verdict(desk),
    captures(desk));
}

/**
 * @param {Desk} desk
 * @param {() => void} redraw
 */
function quick(desk, redraw) {
  const use = (/** @type {Record<string, any>} */ values) => {
    for (const name of ["patterns", "preset", "captures", "condition"]) delete desk.form.spec[name];
    Object.assign(desk.form.spec, structuredClone(values));
    redraw();
    desk.changed("quick");
  };
  return h("div", { class: "row wrap", role: "group", "aria-label": "Quick templates" },
    h("span", { class: "muted small" }, "Quick start:"),
    QUICK.map(({ label, values }) => h("button", { type: "button", class: "chip", onClick: () => use(values) }, label)),
    h("a", { class: "small", href: "/templates" }, "More templates"));
}

/**
 * @param {Desk} desk
 * @param {() => void} redraw
 */
function inputs(desk, redraw) {
  const { spec } = desk.form;
  const kind = kindOf(desk.form);
  if (kind === "none") return h("p", { class: "muted" }, "Choose below, under “When else”, what starts the actions.");
  if (kind === "preset") {
    const packs = desk.words.presets.map(({ name }) => /** @type {[string, string]} */ ([name, name.replaceAll("_", " ")]));
    const about = desk.words.presets.find(({ name }) => name === spec.preset)?.description ?? "";
    return field({ label: "Pack", path: "preset", hint: about }, select(packs, spec.preset, (value) => {
      spec.preset = value;
      redraw();
      desk.changed("preset");
    }));
  }
  if (kind === "pattern") {
    const input = area(spec.pattern ?? "", (value) => {
      spec.pattern = value.replaceAll("\n", "");
      desk.changed("pattern");
    }, { class: "mono pattern-input", rows: 2, dir: "ltr", maxlength: 1000, placeholder: "loss: (?P<loss>[\\d.]+)" });
    return field({ label: "Pattern", path: "pattern", hint: "A regular expression of Python, searched in each line." }, input);
  }
  return severalInput(desk, kind);
}

/**
 * @param {Desk} desk
 * @param {"any" | "all"} kind
 */
function severalInput(desk, kind) {
  const { spec } = desk.form;
  const lines = area(expressions(desk.form).join("\n"), (value) => {
    const texts = value.split("\n").filter(Boolean);
    spec.patterns[kind] = texts.length ? texts : [""];
    desk.changed("patterns");
  }, { class: "mono", rows: 4, dir: "ltr" });
  const within = text(spec.patterns.within ?? "", (value) => {
    put(spec.patterns, "within", value.trim());
    desk.changed("patterns");
  }, { placeholder: "5m" });
  return [field({ label: "Patterns", path: "patterns", hint: "One on each line." }, lines),
    kind === "all" ? field({ label: "All within", path: "patterns.within", hint: "Left empty: at any time." }, within) : null];
}

/**
 * What the matcher says of the pattern.
 * @param {Desk} desk
 */
function verdict(desk) {
  const line = h("p", { class: "verdict row wrap small", role: "status" });
  desk.onTried(() => {
    const { tried } = desk;
    if (!tried) return void replace(line, h("span", { class: "muted" }, waiting(desk)));
    const [speed, meaning] = TIERS[tried.tier];
    const slow = tried.slow || tried.tier === "fallback";
    replace(line,
      h("span", { class: slow ? "chip warn" : "chip good", title: meaning }, slow ? "Slower" : speed, h("span", { class: "mono" }, tried.tier)),
      h("span", { class: "muted" }, slow && tried.reason ? `${meaning}: ${tried.reason}` : meaning),
      tried.matches_empty ? h("span", { class: "chip warn" }, "matches every line") : null,
      tried.problems.length ? h("span", { class: "chip warn" }, h("bdi", null, tried.problems[0])) : null);
  });
  replace(line, h("span", { class: "muted" }, waiting(desk)));
  return line;
}

/** @param {Desk} desk */
function waiting(desk) {
  return kindOf(desk.form) === "none" || kindOf(desk.form) === "preset" || expressions(desk.form).length ? "" : "Type a pattern: it is tried at once, as it will be run.";
}

/** @param {Desk} desk */
function captures(desk) {
  const box = h("div", { class: "captures", dataset: { field: "captures" } });
  let drawn = "";
  const draw = () => {
    const groups = kindOf(desk.form) === "pattern" ? desk.tried?.groups ?? [] : [];
    const key = JSON.stringify(groups);
    if (key === drawn && groups.length) return void values(desk, box);
    drawn = key;
    replace(box, groups.length ? [
      h("h3", null, `${plural(groups.length, "group")} found in the pattern`),
      h("div", { class: "fields" }, groups.map((name, at) => capture(desk, name, at))), h("div", { class: "fault" }),
    ] : h("div", { class: "fault" }));
    values(desk, box);
  };
  desk.onTried(draw);
  draw();
  return box;
}

/**
 * @param {Desk} desk
 * @param {string | null} name
 * @param {number} at
 */
function capture(desk, name, at) {
  const given = desk.form.spec.captures ?? [];
  const input = text(name ?? given[at] ?? "", (value) => {
    const names = (desk.tried?.groups ?? []).map((own, index) => desk.form.spec.captures?.[index] ?? own ?? "");
    names[at] = value.trim();
    // names go by position: one without is filled up, unless only such ones follow
    const last = names.reduce((found, each, index) => (each && !(desk.tried?.groups ?? [])[index] ? index : found), -1);
    put(desk.form.spec, "captures", names.slice(0, last + 1).map((each, index) => each || `group${index + 1}`));
    desk.changed("captures");
  }, { class: "mono", readonly: name !== null, placeholder: `group${at + 1}`, maxlength: 64 });
  const sample = h("span", { class: "capture-value muted small", dataset: { group: String(at) } });
  return h("div", { class: "capture" }, field({ label: `Group ${at + 1}`, path: `captures[${at}]`, hint: name === null ? undefined : "Named in the pattern." }, input), sample);
}

/**
 * Show what each group found last.
 * @param {Desk} desk
 * @param {Element} box
 */
function values(desk, box) {
  const last = desk.tried?.matches.at(-1);
  for (const place of box.querySelectorAll("[data-group]")) {
    const found = last?.groups[Number(/** @type {HTMLElement} */ (place).dataset["group"])];
    setText(place, found === undefined ? "" : found === null ? "took no part" : `found: ${found.slice(0, 80)}`);
  }
}

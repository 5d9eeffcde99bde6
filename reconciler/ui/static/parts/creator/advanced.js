// @ts-check
// Everything that most watchers need not say, folded away.
import { h } from "../../lib/dom.js";
import { area, field, numeric, select, text, tick } from "./fields.js";
import { put } from "./model.js";

/** @typedef {import("./types").Desk} Desk */

/** @param {Desk} desk */
export function advancedSection(desk) {
  const { spec } = desk.form;
  const used = ["condition", "silence", "time_left", "trigger_on_job_end", "max_triggers", "cooldown", "timer_mode_enabled", "mode", "labels", "max_failures", "multiline", "start_at"];
  const open = desk.editing !== null && used.some((name) => name in spec);
  return h("details", { class: "panel advanced", open, ref: (/** @type {HTMLDetailsElement} */ element) => openWhenAsked(desk, element) },
    h("summary", null, h("h2", null, "More: conditions, limits, timer, silence")),
    h("div", { class: "stack advanced-body" },
      group("Only some matches", matches(desk)), group("When else", elsewise(desk)), group("Again and again", timer(desk)), group("How it looks", looks(desk)), group("For people", people(desk))));
}

/**
 * Where nothing is looked for in the output, what starts the actions stands here.
 * @param {Desk} desk
 * @param {HTMLDetailsElement} element
 */
function openWhenAsked(desk, element) {
  desk.onChange(() => {
    const { spec } = desk.form;
    if (!("pattern" in spec) && !spec.patterns && !spec.preset) element.open = true;
  });
}

/**
 * @param {string} title
 * @param {(Node | null)[]} inputs
 */
function group(title, inputs) {
  return h("fieldset", { class: "group" }, h("legend", null, title), h("div", { class: "fields" }, inputs));
}

/**
 * @param {Desk} desk
 * @param {string} name
 * @param {string} label
 * @param {string} hint
 * @param {string} [example]
 */
function words(desk, name, label, hint, example) {
  const { spec } = desk.form;
  const input = text(shown(spec[name]), (value) => {
    put(spec, name, value.trim());
    desk.changed(name);
  }, { placeholder: example, class: name === "condition" ? "mono" : undefined, dir: name === "condition" ? "ltr" : "auto" });
  return field({ label, path: name, hint, wide: name === "condition" || name === "description" }, input);
}

/**
 * Durations that the API tells in seconds, as people write them.
 * @param {any} value
 */
function shown(value) {
  return typeof value === "number" ? `${value}s` : value ?? "";
}

/**
 * @param {Desk} desk
 * @param {string} name
 * @param {string} label
 * @param {string} hint
 * @param {string} [usual]
 */
function count(desk, name, label, hint, usual) {
  const { spec } = desk.form;
  const input = numeric(spec[name], (value) => {
    put(spec, name, value);
    desk.changed(name);
  }, { placeholder: usual });
  return field({ label, path: name, hint }, input);
}

/**
 * @param {Desk} desk
 * @param {string} name
 * @param {string} label
 * @param {[string, string][]} options the first is what holds where nothing is said
 * @param {string} [hint]
 */
function choice(desk, name, label, options, hint) {
  const { spec } = desk.form;
  const input = select(options, spec[name] ?? options[0][0], (value) => {
    put(spec, name, value === options[0][0] ? "" : value);
    desk.changed(name);
  });
  return field({ label, path: name, hint }, input);
}

/**
 * @param {Desk} desk
 * @param {string} name
 * @param {string} label
 * @param {string} [hint]
 */
function flag(desk, name, label, hint) {
  return tick({ label, path: name, hint }, Boolean(desk.form.spec[name]), (value) => {
    put(desk.form.spec, name, value);
    desk.changed(name);
  });
}

/** @param {Desk} desk */
function matches(desk) {
  return [
    words(desk, "condition", "Condition", "An expression over what was captured; captured values are text.", "float(used) / float(total) > 0.9"),
    count(desk, "max_triggers", "Most triggers", "After so many it acts no more. Empty: no limit."),
    words(desk, "cooldown", "Cooldown", "After a trigger, what matches for so long does not trigger.", "10m"),
    count(desk, "max_failures", "Most failures", "Disabled after so many failed actions in a row."),
  ];
}

/** @param {Desk} desk */
function elsewise(desk) {
  const { spec } = desk.form;
  const states = text([spec.trigger_job_states ?? []].flat().join(", "), (value) => {
    put(spec, "trigger_job_states", value.split(",").map((word) => word.trim()).filter(Boolean));
    desk.changed("trigger_job_states");
  }, { placeholder: "completed, failed, timeout" });
  return [
    words(desk, "silence", "Silence", "Acts once when the output has not grown for so long.", "30m"),
    words(desk, "time_left", "Time left", "Acts once when so little of the time limit is left.", "10m"),
    flag(desk, "trigger_on_job_end", "When the job ends"),
    field({ label: "Ended as", path: "trigger_job_states", hint: "Which ends count." }, states),
  ];
}

/** @param {Desk} desk */
function timer(desk) {
  return [
    flag(desk, "timer_mode_enabled", "Timer mode", "After the first match it acts at an interval until the job ends, and reads no more."),
    count(desk, "timer_interval_seconds", "Interval (seconds)", "Of timer mode.", "30"),
  ];
}

/** @param {Desk} desk */
function looks(desk) {
  return [
    choice(desk, "output_type", "Output", [["stdout", "stdout"], ["stderr", "stderr"], ["both", "both"]]),
    count(desk, "interval_seconds", "Looks every (seconds)", "Regular wait between two looks.", "60"),
    choice(desk, "start_at", "Starts at", [["beginning", "the beginning of the output"], ["end", "what is printed from now on"]]),
    count(desk, "multiline", "Lines that a match may span", "", "1"),
    count(desk, "every_nth_line", "Every Nth line", "Looks at these lines only.", "1"),
    choice(desk, "mode", "Mode", [["act", "act"], ["observe", "observe: record what it would do"]]),
  ];
}

/** @param {Desk} desk */
function people(desk) {
  const { spec } = desk.form;
  const lines = Object.entries(spec.labels ?? {}).map(([key, value]) => `${key}=${value}`).join("\n");
  const labels = area(lines, (value) => {
    const pairs = value.split("\n").filter((line) => line.trim()).map((line) => [line.split("=", 1)[0].trim(), line.includes("=") ? line.slice(line.indexOf("=") + 1).trim() : ""]);
    put(spec, "labels", pairs.length ? Object.fromEntries(pairs) : "");
    desk.changed("labels");
  }, { placeholder: "team=vision" });
  return [words(desk, "description", "Description", "Shown beside the watcher."), field({ label: "Labels", path: "labels", hint: "One on each line: key=value." }, labels)];
}

// @ts-check
// Inputs for an action's params, made from their JSON Schema.
import { area, field, numeric, select, text, tick } from "./fields.js";
import { put } from "./model.js";

/** @typedef {import("./types").Schema} Schema */

/** Texts that may be long. */
const LONG = new Set(["message", "command"]);

/**
 * One input for one param.
 * @param {string} name
 * @param {Schema} schema
 * @param {{required: boolean, path: string, params: Record<string, any>, changed: () => void}} about
 */
export function paramInput(name, schema, { required, path, params, changed }) {
  const set = (/** @type {any} */ value) => {
    if (schema.type === "boolean") put(params, name, value);
    else if (value === "" || value === undefined || (Array.isArray(value) && !value.length)) delete params[name];
    else params[name] = value;
    changed();
  };
  const label = name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
  const about = { label, path: `${path}.params.${name}`, hint: sentence(schema.description), wide: LONG.has(name) };
  const value = params[name];
  if (schema.type === "boolean") return tick({ ...about, hint: sentence(schema.description) }, Boolean(value ?? schema.default), set);
  const input = inputOf(name, schema, value, set);
  if (required) input.setAttribute("aria-required", "true");
  return field(about, input);
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {any} value
 * @param {(value: any) => void} set
 */
function inputOf(name, schema, value, set) {
  const kinds = (schema.anyOf ?? [schema]).flatMap((each) => each.anyOf ?? [each]);
  const has = (/** @type {string} */ type) => kinds.some((kind) => kind.type === type);
  const placeholder = typeof schema.default === "string" || typeof schema.default === "number" ? String(schema.default) : "";
  const choices = kinds.find((kind) => kind.enum)?.enum;
  if (choices) {
    const first = schema.default === undefined ? [/** @type {[string, string]} */ (["", "Choose…"])] : [];
    return select([...first, ...choices.map((each) => /** @type {[string, string]} */ ([each, each]))], value ?? schema.default ?? "", set);
  }
  if (has("object")) return area(pairsText(value), (entered) => set(pairs(entered)), { class: "mono", placeholder: "time=04:00:00" });
  if (has("array")) {
    const shown = Array.isArray(value) ? value.join(has("string") ? ", " : "\n") : value ?? "";
    if (has("string")) return text(shown, (entered) => set(entered.split(",").map((each) => each.trim()).filter(Boolean)), { dataset: { plain: "" } });
    return area(shown, (entered) => set(entered.split("\n").filter(Boolean)), { class: "mono" });
  }
  if (!has("string")) return numeric(value, set, { placeholder });
  const props = { placeholder, class: name === "command" ? "mono" : undefined };
  return LONG.has(name) ? area(value ?? "", set, props) : text(value === undefined ? "" : String(value), set, props);
}

/** @param {Record<string, any> | undefined} value */
function pairsText(value) {
  return Object.entries(value ?? {}).map(([key, each]) => `${key}=${each}`).join("\n");
}

/**
 * Lines `key=value` as a mapping.
 * @param {string} entered
 */
function pairs(entered) {
  const lines = entered.split("\n").map((line) => line.trim()).filter(Boolean);
  const found = lines.map((line) => [line.split("=", 1)[0].trim(), line.includes("=") ? valueOf(line.slice(line.indexOf("=") + 1).trim()) : true]);
  return found.length ? Object.fromEntries(found) : "";
}

/** @param {string} word */
function valueOf(word) {
  return word === "true" ? true : word === "false" ? false : /^\d+$/.test(word) ? Number(word) : word;
}

/** @param {string | undefined} words */
function sentence(words) {
  if (!words) return undefined;
  const plain = words.replaceAll("`", "");
  return `${plain[0].toUpperCase()}${plain.slice(1)}${/[.!?]$/.test(plain) ? "" : "."}`;
}

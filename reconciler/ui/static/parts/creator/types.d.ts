// Shapes that the creator and the templates page use, as the API's OpenAPI has them; JSDoc refers to them.
import type { Context, Flaw } from "../../types";

export interface ActionType {
  type: string;
  description: string;
  category: string;
  outside: boolean;
  allowed: boolean;
  why: string;
  params: Schema;
}

export interface Schema {
  type?: string;
  description?: string;
  default?: any;
  enum?: string[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  required?: string[];
  minimum?: number;
  maximum?: number;
  format?: string;
}

export interface Vocabulary {
  actions: ActionType[];
  variables: { name: string; description: string }[];
  presets: { name: string; description: string; groups: string[] }[];
  max_new_bindings: number;
}

export interface Draft {
  yaml: string;
  file: string;
  name: string;
  spec: Record<string, any>;
  valid: boolean;
  errors: Flaw[];
  warnings: Flaw[];
  writable: boolean;
  patch: string;
}

export interface FittingJob {
  job_id: string;
  hostname: string;
  name: string;
  state: string;
}

export interface SelectorTested {
  count: number;
  ended: number;
  known: number;
  jobs: FittingJob[];
}

export interface Tried {
  matches: { text: string; line: number; offset: number; groups: (string | null)[]; captures: Record<string, string | null> }[];
  count: number;
  bytes: number;
  problems: string[];
  tier: "hyperscan" | "re2" | "fallback";
  reason: string;
  slow: boolean;
  matches_empty: boolean;
  groups: (string | null)[];
}

export interface Template {
  id: string;
  name: string;
  description: string;
  category: string;
  tags: string[];
  pattern: string;
  actions: string[];
  layer: "package" | "directory" | "git" | "api";
  file: string;
  writable: boolean;
  errors: Flaw[];
}

export interface TemplateDetail extends Template {
  yaml: string;
  spec: Record<string, any>;
}

export interface TemplateList {
  templates: Template[];
  count: number;
  categories: string[];
  tags: string[];
}

/** What makes a watcher look: one pattern, several of which one is enough or all are needed, a pack, or no output at all. */
export type Kind = "pattern" | "any" | "all" | "preset" | "none";

/** What a person has entered so far. */
export interface Form {
  /** Fields of the watcher's file; `jobs` only while the target is a selector. */
  spec: Record<string, any>;
  target: "jobs" | "selector";
  jobs: FittingJob[];
  /** One file for each job instead of one for all. */
  apart: boolean;
  /** The name was entered, not made. */
  named: boolean;
  /** Not null: the whole file as text, in place of everything else. */
  text: string | null;
  /** Of a watcher that is edited: what it was when that began, and the tag of its file. */
  base?: { spec: Record<string, any>; tag: string };
}

/** What the parts of the creator share. */
export interface Desk {
  form: Form;
  words: Vocabulary;
  ctx: Context;
  /** The watcher that is edited; null: a new one. */
  editing: import("../../types").WatcherDetail | null;
  /** What the pattern was last found to be. */
  tried: Tried | null;
  /** Something was entered: tells all parts, at once and after a pause. `field`: what. */
  changed(field?: string): void;
  /** Be told of changes. */
  onChange(listener: () => void): void;
  /** The pattern was tried. */
  onTried(listener: () => void): void;
  setTried(tried: Tried | null): void;
}

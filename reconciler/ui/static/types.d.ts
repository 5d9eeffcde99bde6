// Shapes of the API, as its OpenAPI has them; JSDoc refers to them, nothing of this runs.

export type WatcherState = "active" | "paused" | "triggered" | "disabled" | "completed" | "static" | "stopped";
export type JobState = string;
export type Scope = "read" | "write" | "admin";

export interface Flaw {
  where: string;
  message: string;
  remedy?: string;
  line?: number;
  column?: number;
  field?: string;
}

export interface Refusal {
  code: string;
  detail: string;
  remedy?: string;
  problems?: Flaw[];
  yaml?: string;
  file?: string;
  line?: number;
}

export interface Hold {
  kind: "declared" | "manual" | "self";
  by: string;
  reason: string;
  since: string;
  until: string | null;
}

export interface Action {
  type: string;
  params?: Record<string, any>;
  [field: string]: any;
}

export interface Watcher {
  id: number;
  job_id: string;
  hostname: string;
  name: string;
  pattern: string;
  interval_seconds: number;
  captures: string[];
  condition: string | null;
  actions: Action[];
  state: WatcherState;
  last_check: string | null;
  next_check: string | null;
  last_position: number;
  trigger_count: number;
  timer_mode_enabled: boolean;
  timer_interval_seconds: number;
  timer_mode_active: boolean;
  timer_due: string | null;
  created_at: string;
  variables: Record<string, string | null>;
  job_name: string;
  last_trigger: string | null;
  last_error: string;
  failures: number;
  output_type: string;
  mode: string;
  labels: Record<string, string>;
  description: string;
  holds: Hold[];
  source: string;
  file: string;
  line: number;
  commit: string;
  writable: boolean;
  /** Only what an outline tells is known of it. */
  brief?: boolean;
}

export interface Outline {
  columns: string[];
  rows: any[][];
  specs: Record<string, Partial<Watcher>>;
  seq: number;
  count: number;
  total: number;
}

export interface WatcherDetail extends Watcher {
  spec: Record<string, any>;
  yaml: string;
  tag: string;
  jobs: number;
}

export interface WatcherWritten {
  id: number | null;
  ids: number[];
  name: string;
  file: string;
  message: string;
  watcher: Watcher | null;
}

export interface WatcherEvent {
  id: number;
  type: string;
  subject: string;
  watcher_id: number | null;
  watcher_name: string;
  job_id: string;
  hostname: string;
  timestamp: string;
  matched_text: string | null;
  captured_vars: Record<string, string | null>;
  action_type: string;
  action_result: string;
  success: boolean;
  data: Record<string, any>;
}

export interface EventList {
  events: WatcherEvent[];
  count: number;
  next_cursor: string | null;
}

export interface Job {
  job_id: string;
  hostname: string;
  name: string;
  user: string;
  state: JobState;
  raw_state: string;
  partition: string;
  account: string;
  qos: string;
  stdout: string | null;
  stderr: string | null;
  workdir: string | null;
  submitted: string | null;
  started: string | null;
  ended: string | null;
  time_limit: number | null;
  exit_code: number | null;
  restarts: number;
  finished: boolean;
  watchers: number;
}

export interface JobList {
  jobs: Job[];
  count: number;
  total: number;
  next_cursor: string | null;
  unreachable: Record<string, string>;
}

export interface Output {
  job_id: string;
  hostname: string;
  stream: "stdout" | "stderr";
  path: string;
  sight: "read" | "missing" | "failed";
  reason: string;
  size: number;
  offset: number;
  next_offset: number;
  text: string;
}

export interface Point {
  at: string;
  value: number | null;
  step: number | null;
  watcher_id: number;
}

export interface Metric {
  job_id: string;
  hostname: string;
  name: string;
  points: Point[];
  count: number;
  total: number;
}

export interface MetricSummary {
  name: string;
  count: number;
  last: number | null;
  low: number | null;
  high: number | null;
  last_at: string;
}

export interface Change {
  change: string;
  watcher: string;
  job_id: string;
  hostname: string;
  job_name: string;
  reason: string;
  withheld: string;
  file: string;
  line: number;
  commit: string;
}

export interface Plan {
  changes: Change[];
  count: number;
  digest: string;
  alarms: string[];
  problems: Flaw[];
  unreachable: Record<string, string>;
}

export interface Match {
  text: string;
  line: number;
  offset: number;
  groups: (string | null)[];
  captures: Record<string, string | null>;
}

export interface PatternTested {
  matches: Match[];
  count: number;
  bytes: number;
  problems: string[];
}

export interface Validated {
  valid: boolean;
  watchers: string[];
  errors: Flaw[];
  warnings: Flaw[];
}

export interface Session {
  name: string;
  scope: Scope;
  expires: string | null;
  version: string;
  state: string;
}

export interface BulkDone {
  results: { id: number; success: boolean; message: string }[];
  succeeded: number;
  failed: number;
}

/** What a page is given: where it is, and how to leave. */
export interface Context {
  /** The parts of the path after the page's own, decoded: `/jobs/HOST/ID` gives `[HOST, ID]`. */
  path: string[];
  query: URLSearchParams;
  /** Aborted when the page is left. */
  signal: AbortSignal;
  navigate(url: string, options?: { replace?: boolean }): void;
  /** Change words of the query in place (null, "": take out); the page is not shown anew. */
  setQuery(words: Record<string, string | null>): void;
  /** Set the document's title. */
  title(text: string): void;
  session: Session;
}

export interface Page {
  show(root: HTMLElement, ctx: Context): void | Promise<void>;
}

// Shapes of the API that the pages of jobs, metrics, the plan and hosts read; JSDoc refers to them, nothing of this runs.

export interface Line {
  offset: number;
  bytes: number;
  text: string;
  cut: boolean;
  whole: boolean;
}

export interface Lines {
  job_id: string;
  hostname: string;
  stream: Stream;
  path: string;
  sight: "read" | "missing" | "failed";
  reason: string;
  size: number;
  file: string;
  lines: Line[];
  offset: number;
  next_offset: number;
}

export type Stream = "stdout" | "stderr";

export interface Found {
  line: number;
  offset: number;
  text: string;
}

export interface FoundList {
  found: Found[];
  count: number;
  size: number;
  done: boolean;
  next_offset: number;
  next_line: number;
  next_inside: boolean;
}

export interface Place {
  line: number;
  offset: number;
  size: number;
  done: boolean;
}

export interface Host {
  hostname: string;
  transport: string;
  scheduler: string;
  reachable: boolean;
  layer: string;
  reason: string;
  since: string | null;
  listed: string | null;
  listing_seconds: number | null;
  listing_every: number | null;
  listing_every: number | null;
  looked: string | null;
  look_seconds: number | null;
  late_seconds: number | null;
  outputs: number;
  jobs: number;
  ended_jobs: number;
  watched_jobs: number;
  watchers: number;
}

export interface HostList {
  hosts: Host[];
  count: number;
  now: string;
}

export interface MeasuredJob {
  job_id: string;
  hostname: string;
  name: string;
  state: string;
  metrics: string[];
}

export interface FieldChange {
  path: string;
  old: any;
  new: any;
}

export interface PlanChange {
  change: string;
  watcher: string;
  watcher_id: number | null;
  job_id: string;
  hostname: string;
  job_name: string;
  reason: string;
  withheld: string;
  file: string;
  line: number;
  commit: string;
  fields: FieldChange[];
}

export interface Drift {
  watcher: string;
  watcher_id: number;
  job_id: string;
  hostname: string;
  by: string;
  reason: string;
  since: string;
  until: string | null;
}

export interface Problem {
  where: string;
  message: string;
  remedy: string;
  line: number;
  column: number;
  file: string;
  code: string;
  value: string;
  watcher: string;
  severity: string;
  excerpt: string;
  excerpt_column: number;
}

export interface Source {
  name: string;
  revision: string;
  failed: string;
  files: number;
  bad_files: number;
  watchers: number;
  applied: { revision: string; at: string; changes: number } | null;
}

export interface WholePlan {
  changes: PlanChange[];
  count: number;
  summary: Record<string, number>;
  digest: string;
  alarms: string[];
  drift: Drift[];
  notes: Record<string, string>;
  problems: Problem[];
  sources: Source[];
  unreachable: Record<string, string>;
}

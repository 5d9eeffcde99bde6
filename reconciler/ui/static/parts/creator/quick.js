// @ts-check
// Patterns and actions to begin with, one click away.

/** @type {{label: string, name: string, values: Record<string, any>}[]} */
export const QUICK = [
  {
    label: "Errors", name: "Errors", values: {
      pattern: "(?i)\\b(?P<kind>error|exception|fatal)\\b:? *(?P<what>.*)", output_type: "both", cooldown: "1m",
      actions: [{ type: "log_event", params: { level: "error", message: "$kind: $what" } }],
    },
  },
  {
    label: "Progress", name: "Progress", values: {
      pattern: "(?i)\\bepoch\\W+(?P<epoch>\\d+)(?:\\s*/\\s*(?P<epochs>\\d+))?", cooldown: "10s",
      actions: [{ type: "store_metric", params: { name: "epoch", value: "$epoch" } }],
    },
  },
  {
    label: "GPU", name: "GPU memory", values: {
      pattern: "(?P<used>\\d+) ?Mi?B */ *(?P<total>\\d+) ?Mi?B", output_type: "both", cooldown: "10s",
      actions: [{ type: "store_metric", params: { name: "gpu_memory_mb", value: "$used" } }],
    },
  },
  {
    label: "Loss", name: "Loss", values: {
      pattern: "(?i)\\bloss['\"]?\\s*[=:]\\s*(?P<loss>[-+]?\\d+(?:\\.\\d+)?(?:e[-+]?\\d+)?)", output_type: "both", cooldown: "10s",
      actions: [{ type: "store_metric", params: { name: "loss", value: "$loss" } }],
    },
  },
];

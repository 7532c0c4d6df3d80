import type { MetricBuckets } from "../../../src/train/metric-buckets.ts";
import { curveOf } from "./curves.ts";

/** Metrics of runs as a table: a line each value, or each bucket where there are more than a chart has places. */
export function csvOf(
  lines: readonly { readonly name: string; readonly buckets: MetricBuckets }[],
  metrics: readonly string[],
): string {
  const rows = [["run", "metric", "step", "mean", "lowest", "highest", "values"]];
  for (const { name, buckets } of lines) {
    for (const metric of metrics) {
      const { steps, mean, low, high, count } = curveOf(buckets, metric, "step");
      for (const [i, step] of steps.entries()) {
        rows.push([name, metric, ...[step, mean[i], (low ?? mean)[i], (high ?? mean)[i], count[i]].map(String)]);
      }
    }
  }
  return rows.map((row) => `${row.map(fieldOf).join(",")}\r\n`).join("");
}

/** A field as RFC 4180 has it. Text that a spreadsheet would take for a formula is made none. */
function fieldOf(text: string): string {
  const safe = /^[=+@\t\r-]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

import { printable } from "../../../src/cli/printable.ts";
import type { ChartChoice, StepRange } from "../charts/chart-choice.ts";
import type { RunLine } from "../charts/curves.ts";
import { stepAt } from "../charts/curves.ts";
import type { RunFeed } from "./run-feed.svelte.ts";
import type { ZoomedMetrics } from "./zoomed-metrics.svelte.ts";

/** Runs as lines, in colours by their order, as far as their metrics are there: of a zoomed range exactly, else as a whole. */
export function runLines(
  ids: readonly string[],
  range: StepRange | null,
  feed: RunFeed,
  zoomed: ZoomedMetrics,
): RunLine[] {
  return ids.flatMap((id, place) => {
    const buckets = zoomed.get(id, range) ?? feed.metrics.get(id)?.buckets;
    if (buckets === undefined) return [];
    const newest = range === null ? (feed.runs?.get(id)?.metrics ?? {}) : {};
    return [{ name: printable(id), place, buckets, newest }];
  });
}

/** What the address says of a range that was marked along the bottom of a chart: its steps, two at least. */
export function zoomQuery(
  lines: readonly RunLine[],
  axis: ChartChoice["axis"],
  from: number,
  to: number,
): Record<string, string> {
  const [line] = lines;
  if (line === undefined) return {};
  const [first, last] = [stepAt(line.buckets, from, axis), stepAt(line.buckets, to, axis)];
  return { from: String(first), to: String(Math.max(first + 1, last)) };
}

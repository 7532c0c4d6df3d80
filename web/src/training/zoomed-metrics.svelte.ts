import { SvelteMap } from "svelte/reactivity";
import type { RunMetrics } from "../../../src/serve/api/run-answers.ts";
import { MetricBuckets } from "../../../src/train/metric-buckets.ts";
import { requestJson } from "../api.ts";
import type { StepRange } from "../charts/chart-choice.ts";
import type { RunFeed } from "./run-feed.svelte.ts";
import { metricsPath } from "./run-feed.svelte.ts";

/** Parts of runs that were zoomed into, as exactly as their logs have them. */
export class ZoomedMetrics {
  readonly #parts = new SvelteMap<string, MetricBuckets>();
  #asked = new AbortController();
  #key = "";

  /** A part of a run; undefined where it is not there (yet). */
  get(id: string, range: StepRange | null): MetricBuckets | undefined {
    return range === null ? undefined : this.#parts.get(keyOf(id, range));
  }

  /** Asks for a range of runs, as far as it is not there; null lets all go. What grows while it is shown is asked for again. */
  show(range: StepRange | null, ids: readonly string[], feed: RunFeed): void {
    const isNewest = range !== null && ids.some((id) => (feed.runs?.get(id)?.step ?? 0) <= range.to);
    const age = isNewest ? ids.map((id) => feed.runs?.get(id)?.step ?? 0) : [];
    const key = JSON.stringify([range, ids, age]);
    if (key === this.#key) return;
    this.#key = key;
    this.#asked.abort();
    this.#asked = new AbortController();
    if (range === null) this.#parts.clear();
    else for (const id of ids) void this.#read(id, range, this.#asked.signal);
  }

  async #read(id: string, range: StepRange, signal: AbortSignal): Promise<void> {
    try {
      const { place: _, ...state } = await requestJson<RunMetrics>(metricsPath(id, range), { signal });
      this.#parts.set(keyOf(id, range), MetricBuckets.from(state));
    } catch {
      // The whole run is shown, and the feed says what is wrong.
    }
  }
}

function keyOf(id: string, { from, to }: StepRange): string {
  return `${from}-${to} ${id}`;
}

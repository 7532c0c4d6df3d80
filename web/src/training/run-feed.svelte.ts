import { SvelteMap } from "svelte/reactivity";
import type { RunChanges, RunEntry, RunLines, RunList, RunMetrics } from "../../../src/serve/api/run-answers.ts";
import { MetricBuckets } from "../../../src/train/metric-buckets.ts";
import { messageOf, requestJson } from "../api.ts";
import type { ServerEvent } from "../events.ts";
import { serverEvents } from "../events.ts";

/** How long to wait before a stream that broke is asked for again, in milliseconds: a little more each time. */
const waits = [500, 1000, 2000, 5000];

/** The metrics of a run that is watched: another object when the buckets changed, which are not followed by themselves. */
export interface WatchedRun {
  readonly buckets: MetricBuckets;
}

/**
 * What the server knows of runs, kept up to date by one stream: the list of all, and the metrics of those that are watched.
 * What came is never asked for again; a run that was resumed is read anew.
 */
export class RunFeed {
  /** All runs by id; null until the first answer. */
  runs = $state<SvelteMap<string, RunEntry> | null>(null);
  folder = $state("");
  /** What is wrong with the connection; "" while it stands. */
  trouble = $state("");
  readonly metrics = new SvelteMap<string, WatchedRun>();
  #watched: readonly string[] = [];
  readonly #places = new Map<string, string>();
  /** Runs whose metrics are shown until they are read anew. */
  readonly #stale = new Set<string>();
  #stream = new AbortController();
  #isClosed = false;

  /** Reads the list and keeps it up to date until {@link RunFeed.close}. */
  start(): void {
    void this.#follow();
  }

  /** Says whose metrics are shown; those of others are forgotten. */
  watch(ids: readonly string[]): void {
    if (ids.join("\n") === this.#watched.join("\n")) return;
    this.#watched = [...ids];
    for (const id of [...this.metrics.keys()].filter((id) => !ids.includes(id))) {
      this.metrics.delete(id);
      this.#places.delete(id);
    }
    this.#stream.abort();
  }

  /** Ends the stream. */
  close(): void {
    this.#isClosed = true;
    this.#stream.abort();
  }

  async #follow(): Promise<void> {
    for (let failures = 0; !this.#isClosed; ) {
      this.#stream = new AbortController();
      const { signal } = this.#stream;
      try {
        if (this.runs === null) await this.#readList(signal);
        await this.#readMetrics(signal);
        failures = 0;
        await this.#listen(signal);
        if (!signal.aborted) throw new Error("the server ended the connection");
      } catch (error) {
        if (signal.aborted) continue;
        this.trouble = messageOf(error);
        await new Promise((resolve) => setTimeout(resolve, waits[Math.min(failures, waits.length - 1)]));
        failures += 1;
      }
    }
  }

  async #readList(signal: AbortSignal): Promise<void> {
    const { folder, runs } = await requestJson<RunList>("api/runs", { signal });
    this.folder = folder;
    this.runs = new SvelteMap(runs.map((run) => [run.id, run]));
    this.trouble = "";
  }

  /** Reads the metrics of those that are watched and not known yet. */
  async #readMetrics(signal: AbortSignal): Promise<void> {
    const isMissing = (id: string): boolean => this.#stale.has(id) || !this.metrics.has(id);
    const missing = this.#watched.filter((id) => isMissing(id) && this.runs?.has(id));
    await Promise.all(
      missing.map(async (id) => {
        const { place, ...state } = await requestJson<RunMetrics>(metricsPath(id), { signal });
        this.#places.set(id, place);
        this.metrics.set(id, { buckets: MetricBuckets.from(state) });
        this.#stale.delete(id);
      }),
    );
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const ids = this.#watched.filter((id) => this.metrics.has(id));
    const query = new URLSearchParams(ids.map((id) => ["run", id]));
    const from = ids.map((id) => this.#places.get(id) ?? "").join(",");
    const headers: Record<string, string> = ids.length === 0 ? {} : { "last-event-id": from };
    for await (const event of serverEvents(`api/events?${query}`, { signal, headers })) {
      this.trouble = "";
      if (event.data === "[DONE]") return;
      this.#take(event, ids);
    }
  }

  #take({ type, data, id: placed }: ServerEvent, ids: readonly string[]): void {
    for (const [i, place] of placed.split(",").entries()) {
      const id = ids[i];
      if (id !== undefined) this.#places.set(id, place);
    }
    const value: unknown = JSON.parse(data);
    if (type === "runs") this.#takeChanges(value as RunChanges);
    else if (type === "metrics") this.#takeLines(value as RunLines);
    else if (type === "reset") this.#forget((value as { run: string }).run);
  }

  #takeChanges({ runs, gone }: RunChanges): void {
    const isNew = runs.some(({ id }) => this.#watched.includes(id) && !this.metrics.has(id));
    for (const run of runs) this.runs?.set(run.id, run);
    for (const id of gone) this.runs?.delete(id);
    if (isNew) this.#stream.abort();
  }

  #takeLines({ run, lines }: RunLines): void {
    const known = this.metrics.get(run);
    if (known === undefined) return;
    for (const line of lines) {
      const { step, ...values } = line;
      if (step !== undefined) known.buckets.add(step, Object.keys(values), Object.values(values));
    }
    this.metrics.set(run, { ...known });
  }

  /** What was read of a run no longer holds. */
  #forget(id: string): void {
    this.#stale.add(id);
    this.#stream.abort();
  }
}

/** Where the metrics of a run are asked for: all of it, or a range of its steps, exactly. */
export function metricsPath(id: string, range: { readonly from: number; readonly to: number } | null = null): string {
  const query = range === null ? "" : `?from=${range.from}&to=${range.to}`;
  return `api/runs/${encodeURIComponent(id)}/metrics${query}`;
}

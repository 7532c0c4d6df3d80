import { setTimeout as pause } from "node:timers/promises";
import type { MetricLog } from "../train/metric-log.ts";
import type { RunReport } from "../train/run-reader.ts";
import { findRuns, metricLogOf, readRun } from "../train/run-reader.ts";

/** Runs that are looked at again and again: of their logs only what is new is read. */
export class WatchedRuns {
  readonly #folders: readonly string[];
  readonly #logs = new Map<string, MetricLog>();
  readonly #states = new Map<string, string>();

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /**
   * All runs as they are now.
   *
   * @throws {FileError} when a folder cannot be read.
   */
  async read(): Promise<RunReport[]> {
    const paths = new Set((await Promise.all(this.#folders.map(findRuns))).flat());
    const reports: RunReport[] = [];
    for (const path of paths) {
      const log = this.#logs.get(path) ?? metricLogOf(path);
      this.#logs.set(path, log);
      reports.push(await readRun(path, log));
    }
    return reports;
  }

  /** Those that were not as they are now the last time that this was asked. */
  changed(reports: readonly RunReport[]): RunReport[] {
    return reports.filter(({ path, state, step, startedAt }) => {
      const now = `${state} ${step} ${startedAt}`;
      if (this.#states.get(path) === now) return false;
      this.#states.set(path, now);
      return true;
    });
  }

  /** Calls `show` with the runs that changed, every so many seconds, until `signal` is aborted. */
  async follow(seconds: number, signal: AbortSignal, show: (changed: readonly RunReport[]) => void): Promise<void> {
    while (!signal.aborted) {
      await pause(seconds * 1000, undefined, { signal }).catch(() => {});
      if (!signal.aborted) show(this.changed(await this.read()));
    }
  }
}

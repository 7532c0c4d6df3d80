import { existsSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { StemmaError } from "../core/errors.ts";
import { systemCode } from "../files/file-error.ts";
import type { MetricLog } from "../train/metric-log.ts";
import { runFiles } from "../train/run-folder.ts";
import { isRunLocked } from "../train/run-lock.ts";
import type { RunReport } from "../train/run-reader.ts";
import { findRuns, metricLogOf, readRun } from "../train/run-reader.ts";
import type { RunEntry } from "./api/run-answers.ts";
import { ApiError } from "./api-error.ts";
import { runOrigins } from "./run-origins.ts";

/** How old what is known may be, in milliseconds: of runs that there are, and of which there are. */
const freshness = { runsMs: 400, foldersMs: 2000 };

/** Logs that stay in memory, those used last: a log in buckets takes a megabyte or so, and reading one again is fast. */
const mostLogs = 32;

/** A run that is shown. */
export interface KnownRun {
  readonly id: string;
  readonly path: string;
  readonly report: RunReport;
  /** Grows with every change of what is known of it. */
  readonly version: number;
}

/**
 * The runs that a server shows: those in one folder, read again only as far as they changed. Links to folders of runs are not
 * followed, so no run outside of it is shown; a name that is asked for is looked up here and never made a path. What lies in a
 * run's own folder is read through links: a log or a final model may be kept on another disk, and only who writes there links.
 */
export class RunTable {
  readonly folder: string;
  readonly #runs = new Map<string, KnownRun & { readonly stamp: string }>();
  /** By folder, the one used last at the end. */
  readonly #logs = new Map<string, MetricLog>();
  readonly #read = { runs: Number.NEGATIVE_INFINITY, folders: Number.NEGATIVE_INFINITY };
  #reading: Promise<void> | null = null;
  #version = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Every run as it is now, in alphabetical order; none where there is no folder yet.
   *
   * @throws {FileError} when the folder cannot be read.
   */
  async all(): Promise<KnownRun[]> {
    if (performance.now() - this.#read.runs > freshness.runsMs) {
      this.#reading ??= this.#refresh().finally(() => {
        this.#reading = null;
        this.#read.runs = performance.now();
      });
    }
    await this.#reading;
    return [...this.#runs.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * One of them.
   *
   * @throws {ApiError} 404 when there is none with that id.
   */
  async get(id: string): Promise<KnownRun> {
    await this.all();
    if (!this.#runs.has(id)) {
      // It may have begun just now.
      Object.assign(this.#read, { runs: Number.NEGATIVE_INFINITY, folders: Number.NEGATIVE_INFINITY });
      await this.all();
    }
    const run = this.#runs.get(id);
    if (run !== undefined) return run;
    const shown = JSON.stringify(id.slice(0, 100));
    throw new ApiError(404, `there is no run ${shown}; GET /api/runs lists those that there are`, {
      code: "run_not_found",
    });
  }

  /** The metrics of a run, as far as they were read. */
  logOf({ path }: Pick<KnownRun, "path">): MetricLog {
    const log = this.#logs.get(path) ?? metricLogOf(path);
    this.#logs.delete(path);
    this.#logs.set(path, log);
    const [oldest] = this.#logs.keys();
    if (this.#logs.size > mostLogs && oldest !== undefined) this.#logs.delete(oldest);
    return log;
  }

  /** What the list says of a run. */
  entryOf({ id, report }: KnownRun): RunEntry {
    const { command, state, startedAt, step, steps, parameters, trainingSeconds, metrics, settings, troubles } = report;
    const pace = step > 0 && trainingSeconds > 0 ? trainingSeconds / step : null;
    const isGoing = state === "running" && steps !== null && pace !== null;
    return {
      ...{ id, command, state, startedAt, step, steps, parameters, trainingSeconds },
      secondsLeft: isGoing ? Math.max(0, (steps - step) * pace) : null,
      origins: runOrigins(settings, { has: (one) => this.#runs.has(one), idOf: (path) => idOf(path, this.folder) }),
      metrics: { ...metrics },
      troubles: [...troubles],
    };
  }

  async #refresh(): Promise<void> {
    if (performance.now() - this.#read.folders > freshness.foldersMs) {
      const paths = existsSync(this.folder) ? await findRuns(this.folder) : [];
      const found = new Map(paths.map((path) => [idOf(path, this.folder), path]));
      for (const id of this.#runs.keys()) if (!found.has(id)) this.#runs.delete(id);
      for (const [id, path] of found) await this.#look(id, path);
      this.#read.folders = performance.now();
      return;
    }
    for (const { id, path } of [...this.#runs.values()]) await this.#look(id, path);
  }

  /** Reads a run again where something of it changed. */
  async #look(id: string, path: string): Promise<void> {
    const known = this.#runs.get(id);
    const stamp = stampOf(path);
    if (known?.stamp === stamp) return;
    const report = await readRun(path, this.logOf({ path })).catch((error: unknown) => {
      if (error instanceof StemmaError) return damaged(path, error.message);
      throw error;
    });
    this.#version += 1;
    this.#runs.set(id, { id, path, report, stamp, version: this.#version });
  }
}

/** The path inside the folder, or the folder's own name where that is itself the run: a browser takes `.` out of addresses. */
function idOf(path: string, folder: string): string {
  return relative(folder, path).replaceAll("\\", "/") || basename(resolve(folder));
}

/** Changes with whatever a run writes. */
function stampOf(path: string): string {
  const files = [".", runFiles.metrics, runFiles.settings, runFiles.final].map((name) => stampOfFile(join(path, name)));
  return [...files, isRunLocked(path)].join("|");
}

/** What cannot be looked at, such as a link to itself, stands still: reading the run tells what is wrong with it. */
function stampOfFile(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return "";
  }
}

/** What is shown of a run that cannot be read. */
function damaged(path: string, trouble: string): RunReport {
  return {
    ...{ path, command: null, version: null, startedAt: null, settings: {}, machine: {}, state: "stopped" },
    ...{ step: 0, steps: null, metrics: {}, trainingSeconds: 0, parameters: null, checkpoints: [], model: null },
    troubles: [trouble],
  };
}

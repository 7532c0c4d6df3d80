import { readdir, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { CheckpointPlace } from "../checkpoint/train-state.ts";
import { latestCheckpoint, listCheckpoints } from "../checkpoint/train-state.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { isJsonObject } from "../files/json.ts";
import { readJsonIfThere } from "../files/json-file.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { LogRecord } from "./log.ts";
import { JsonLinesLog, readLogRecords } from "./log.ts";
import { describeMachine, packageVersion } from "./machine.ts";
import type { Metrics } from "./run.ts";
import { lockRun } from "./run-lock.ts";
import { EventsWriter } from "./tensorboard.ts";

/** Names of the files of a run folder beside its checkpoints. */
export const runFiles = {
  settings: "settings.json",
  metrics: "metrics.jsonl",
  samples: "samples.jsonl",
  final: "final",
} as const;

/** Where a run goes on: from nothing (`false`), from its newest checkpoint (`true`), or from the one named. */
export type Resume = boolean | string;

/** The files that are open while a run is written. */
interface Logs {
  readonly metrics: JsonLinesLog;
  readonly samples: JsonLinesLog;
  readonly events: EventsWriter;
}

/**
 * The folder of one training run, claimed by this process until {@link RunFolder.close}.
 *
 * First {@link RunFolder.open}, then whatever may still fail because of wrong settings, then {@link RunFolder.begin}:
 * a run that never began leaves no trace.
 */
export class RunFolder {
  readonly path: string;
  /** The checkpoint to go on from, or null to start. */
  readonly checkpoint: CheckpointPlace | null;
  readonly #isResumed: boolean;
  readonly #unlock: () => void;
  #logs: Logs | null = null;
  #record: Readonly<Record<string, unknown>> = {};

  private constructor(
    path: string,
    { checkpoint, isResumed, unlock }: { checkpoint: CheckpointPlace | null; isResumed: boolean; unlock: () => void },
  ) {
    this.path = path;
    this.checkpoint = checkpoint;
    this.#isResumed = isResumed;
    this.#unlock = unlock;
  }

  /**
   * Makes the folder where it is missing, and claims it.
   *
   * @throws {SettingsError} when it holds a run and `resume` is false.
   * @throws {FileError} when another process writes it.
   * @throws {CheckpointError} when the checkpoint named does not exist.
   * @throws {FileError} when the folder cannot be made.
   */
  static async open(path: string, resume: Resume = false): Promise<RunFolder> {
    await makeFolder(path);
    const unlock = lockRun(path);
    try {
      if (resume === false) await refuseExistingRun(path);
      const checkpoint = await findCheckpoint(path, resume);
      return new RunFolder(path, { checkpoint, isResumed: resume !== false, unlock });
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /**
   * Records what the run is made with in `settings.json`, with what identifies its data and what its settings came to,
   * and opens its logs; those of an earlier run forget what came after the checkpoint.
   */
  async begin(
    command: string,
    settings: Readonly<Record<string, unknown>>,
    data: Readonly<Record<string, unknown>> = {},
    resolved: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    this.#record = {
      command,
      version: packageVersion(),
      startedAt: new Date().toISOString(),
      ...(this.checkpoint === null ? {} : { resumedFrom: basename(this.checkpoint.path) }),
      settings,
      resolved,
      data,
      machine: describeMachine(),
    };
    await this.#writeRecord();
    // Step 0 has records of its own, an evaluation before training, which a run that starts anew makes again.
    const kept = this.checkpoint?.step ?? -1;
    this.#logs = {
      metrics: await JsonLinesLog.open(join(this.path, runFiles.metrics), kept),
      samples: await JsonLinesLog.open(join(this.path, runFiles.samples), kept),
      events: new EventsWriter(this.path, this.#isResumed ? kept : null),
    };
  }

  /** Writes the metrics known after `step` updates to `metrics.jsonl` and for TensorBoard. */
  log(step: number, metrics: Metrics): void {
    this.#opened().metrics.append({ step, ...metrics });
    this.#opened().events.write(step, metrics);
  }

  /** Writes a text that the model made after `step` updates to `samples.jsonl`. */
  sample(step: number, sample: { readonly prompt: string; readonly text: string }): void {
    this.#opened().samples.append({ step, ...sample });
  }

  /** The newest records of `metrics.jsonl`, oldest first: few, however long the run. */
  get newest(): readonly LogRecord[] {
    return this.#opened().metrics.newest;
  }

  /** Everything in `metrics.jsonl`, oldest first. */
  async history(): Promise<LogRecord[]> {
    return readLogRecords(join(this.path, runFiles.metrics));
  }

  /** Records that the run is done, which of one that makes no model nothing else would tell. */
  async finish(): Promise<void> {
    this.#record = { ...this.#record, finishedAt: new Date().toISOString() };
    await this.#writeRecord();
  }

  /** Path of the final model folder. */
  get finalPath(): string {
    return join(this.path, runFiles.final);
  }

  /** Ends the logs and gives the folder back; a folder in which nothing was written is removed. */
  async close(): Promise<void> {
    const logs = this.#logs;
    this.#logs = null;
    logs?.metrics.close();
    logs?.samples.close();
    logs?.events.close();
    this.#unlock();
    if (logs === null) await rmdir(this.path).catch(() => {}); // succeeds only when empty
  }

  #writeRecord(): Promise<void> {
    return writeFileAtomic(join(this.path, runFiles.settings), `${JSON.stringify(this.#record, null, 2)}\n`);
  }

  #opened(): Logs {
    if (this.#logs === null) throw new Error(`internal: ${this.path} is not open for writing`);
    return this.#logs;
  }
}

async function refuseExistingRun(path: string): Promise<void> {
  const names = await readdir(path);
  const known = new Set<string>(Object.values(runFiles));
  if (!names.some((name) => known.has(name) || /^checkpoint-\d+$/.test(name))) return;
  throw new SettingsError(
    `${path} already holds a run; add --resume to go on with it, or choose another --output for a new one`,
  );
}

async function findCheckpoint(path: string, resume: Resume): Promise<CheckpointPlace | null> {
  if (resume === false) return null;
  if (resume === true) return latestCheckpoint(path);
  const own = await listCheckpoints(path);
  const candidates = [resume, join(path, resume), join(path, `checkpoint-${resume}`)];
  for (const candidate of candidates) {
    const place = (await listCheckpoints(dirname(candidate))).find((known) => isSame(known.path, candidate));
    if (place !== undefined) return refuseLater(place, own);
  }
  const choice = own.length === 0 ? "it has none yet" : `it has ${own.map(({ path }) => basename(path)).join(", ")}`;
  throw new CheckpointError(`no complete checkpoint ${resume} in ${path}; ${choice}`);
}

function isSame(a: string, b: string): boolean {
  return resolve(a) === resolve(b);
}

/** Later checkpoints would be taken for this run's own the next time it is resumed. */
function refuseLater(place: CheckpointPlace, own: readonly CheckpointPlace[]): CheckpointPlace {
  const later = own.filter(({ step }) => step > place.step).map(({ path }) => path);
  if (later.length === 0) return place;
  throw new SettingsError(
    `the run has gone on after ${basename(place.path)}; to do that part again, first move away or delete ${later.join(", ")}`,
  );
}

/** What a run says about itself in its `settings.json`. */
export interface RunRecord {
  /** Command that made it. */
  readonly command: string;
  /** What it was made with. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What identifies its data, yet to be checked. */
  readonly data: unknown;
}

/**
 * What the run in a folder was made with, or null when there is none.
 *
 * @throws {CheckpointError} when its `settings.json` is damaged.
 */
export async function readRunRecord(path: string): Promise<RunRecord | null> {
  const record = await readJsonIfThere(join(path, runFiles.settings));
  if (record === null) return null;
  const { command, settings, data } = record;
  return { command: String(command), settings: isJsonObject(settings) ? settings : {}, data };
}

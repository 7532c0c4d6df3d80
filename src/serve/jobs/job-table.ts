import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Mutex } from "../../core/mutex.ts";
import { shellLine } from "../../core/shell-line.ts";
import { fileError, systemCode } from "../../files/file-error.ts";
import { makeFolder } from "../../files/make-folder.ts";
import type { ProcessMark } from "../../files/process-mark.ts";
import { isAlive } from "../../files/process-mark.ts";
import { readRunRecord, runFiles } from "../../train/run-folder.ts";
import { isRunLocked } from "../../train/run-lock.ts";
import { readRunEnd } from "../../train/run-reader.ts";
import type { Job, LogPart } from "../api/job-answers.ts";
import { ApiError } from "../api-error.ts";
import type { ModelSource } from "../model-source.ts";
import type { RefusedJob, TypedSettings } from "./check-job.ts";
import { checkJob } from "./check-job.ts";
import { readLastLine, readLog } from "./job-log.ts";
import { sendSignal, startProcess } from "./job-process.ts";
import type { JobRecord } from "./job-record.ts";
import { readJobRecord, writeJobRecord } from "./job-record.ts";
import type { Place, Surveyed } from "./places.ts";
import { survey } from "./places.ts";
import type { JobStage } from "./stage-form.ts";
import { jobFlags, namedBy, namesPlace } from "./stage-form.ts";

/** What jobs a server may start, and where. */
export interface JobSettings {
  /** The folder of runs, as it was given. */
  readonly root: string;
  readonly stages: readonly JobStage[];
  /** Models and files outside of the folder that may be named, too. */
  readonly others: readonly Place[];
  /** Further folders whose files may be named. */
  readonly folders: readonly string[];
  /** Is told the folder of a model that a job ended in, once, and what to call it. */
  readonly made: (model: ModelSource) => Promise<void>;
}

/** Jobs that run at the same time, at most. */
const mostRunning = 4;

/** How old what is known of the folder may be where it is asked for again and again, in milliseconds. */
const freshMs = 2000;

/** Exit codes of commands that a signal stopped, and that saved. */
const stoppedCodes: readonly (number | null)[] = [130, 143];

/**
 * The jobs of a server: `stemma` processes in folders of their own, which outlive it. What is known of them is in those folders,
 * so a server that starts again knows the same.
 */
export class JobTable {
  readonly #settings: JobSettings;
  /** Of each run the process that was last told to end. */
  readonly #stopping = new Map<string, ProcessMark>();
  /** Runs whose models were told of. */
  readonly #told = new Set<string>();
  /** Beginnings and ends of processes are written one after the other: two requests begin no run twice, nor more than may run. */
  readonly #changes = new Mutex();
  /** The run that is being started or resumed. */
  #starting: string | null = null;
  /** What was last found in the folder, and when looking was over; null where that no longer holds. */
  #latest: { readonly found: Promise<Surveyed>; at: number } | null = null;

  constructor(settings: JobSettings) {
    this.#settings = settings;
  }

  /** The folder of runs, as it was given. */
  get root(): string {
    return this.#settings.root;
  }

  get stages(): readonly JobStage[] {
    return this.#settings.stages;
  }

  /** Models and files that settings may name. */
  async places(): Promise<readonly Place[]> {
    return this.#placesOf(await survey(this.#settings.root));
  }

  /** Every job there is, the newest first. */
  async list(): Promise<Job[]> {
    const { jobs } = await this.#survey();
    const all = await Promise.all([...jobs].map(([run, folder]) => this.#read(run, folder)));
    return all.filter((job) => job !== null).sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  }

  /**
   * Starts a stage with settings as they are typed.
   *
   * @returns the job, or what is wrong with the settings.
   * @throws {ApiError} 404 for a stage that is none, 429 when too many run.
   */
  async start(command: string, given: TypedSettings): Promise<Job | RefusedJob> {
    const { root, stages } = this.#settings;
    const stage = stages.find(({ name }) => name === command);
    if (stage === undefined) throw notHere("stage", command, `there are ${stages.map(({ name }) => name).join(", ")}`);
    const checked = checkJob(stage, given, { root, places: await this.places() });
    if ("problems" in checked) return checked;
    return this.#changes.run(async () => {
      await this.#refuseTooMany();
      const folder = join(root, checked.run);
      if (!(await isNew(root, folder))) {
        return { problems: new Map([["output", `--output: ${folder} is there already; choose another name`]]) };
      }
      const { commandLine, args } = checked;
      await this.#run(checked.run, folder, args, { command, commandLine, settings: given });
      return this.#existing(checked.run, folder);
    });
  }

  /**
   * Lets a run go on from its newest checkpoint, whoever began it: with the settings that it has, as far as a request could have
   * asked for the paths among them.
   *
   * @throws {ApiError} 404 for a run that is none, 409 when it runs, has ended, or must be resumed by hand.
   */
  resume(run: string): Promise<Job> {
    return this.#changes.run(() => this.#resume(run));
  }

  async #resume(run: string): Promise<Job> {
    const { root, stages } = this.#settings;
    const surveyed = await survey(root);
    const folder = surveyed.runs.get(run);
    if (folder === undefined) throw notHere("run", run, "a job that began nothing is started anew");
    const record = await readRunRecord(folder);
    const stage = stages.find(({ name }) => name === record?.command);
    if (record === null || stage === undefined) throw conflict(run, "its settings.json names no stage; start it anew");
    const before = await readJobRecord(folder);
    if (isRunLocked(folder) || (before?.process && isAlive(before.process))) throw conflict(run, "it runs already");
    if ((await readRunEnd(folder)).isFinished) throw conflict(run, "it has ended, there is nothing to go on with");
    const commandLine = shellLine("stemma", stage.name, "--output", folder, "--resume");
    const unknown = unknownPath(stage, record.settings, await this.#placesOf(surveyed));
    if (unknown !== null) {
      throw conflict(run, `its setting ${unknown} is no path that this server lists; go on with: ${commandLine}`);
    }
    await this.#refuseTooMany();
    const args = [stage.name, `--output=${resolve(folder)}`, "--resume=yes"];
    const { settings } = before ?? { settings: {} };
    await this.#run(run, folder, args, {
      ...{ command: stage.name, settings },
      commandLine: before?.commandLine ?? commandLine,
    });
    return this.#existing(run, folder);
  }

  /**
   * Ends a job: `stop` lets it save where it is, `kill` does not ask it.
   *
   * @throws {ApiError} 404 for a job that is none, 409 when it does not run here.
   */
  async end(run: string, how: "stop" | "kill"): Promise<Job> {
    const folder = await this.#folderOf(run);
    const record = await readJobRecord(folder);
    const mark = record?.process ?? null;
    if (mark === null || !sendSignal(mark, how === "stop" ? "SIGTERM" : "SIGKILL")) {
      throw conflict(run, "it does not run, or was not started here");
    }
    this.#stopping.set(run, mark);
    return this.#existing(run, folder);
  }

  /**
   * What a job said since a byte of its log.
   *
   * @throws {ApiError} 404 for a job that is none.
   */
  async log(run: string, from: number): Promise<LogPart> {
    return readLog(await this.#folderOf(run), from);
  }

  async #placesOf({ places }: Surveyed): Promise<readonly Place[]> {
    const further = await Promise.all(this.#settings.folders.map(survey));
    const all = [...places, ...further.flatMap((surveyed) => surveyed.places), ...this.#settings.others];
    return [...new Map(all.toReversed().map((place) => [place.name, place])).values()].reverse();
  }

  /** What is in the folder, or was a moment ago: pages ask every second, and looking goes through all of it. */
  #survey(): Promise<Surveyed> {
    if (this.#latest !== null && performance.now() - this.#latest.at < freshMs) return this.#latest.found;
    const latest = { found: survey(this.#settings.root), at: Number.POSITIVE_INFINITY };
    void latest.found.then(() => {
      latest.at = performance.now();
    });
    this.#latest = latest;
    return latest.found;
  }

  async #folderOf(run: string): Promise<string> {
    const folder = (await this.#survey()).jobs.get(run) ?? (await survey(this.#settings.root)).jobs.get(run);
    if (folder === undefined) throw notHere("job", run, "GET /api/jobs lists those that are");
    return folder;
  }

  async #refuseTooMany(): Promise<void> {
    const running = (await this.list()).filter(({ state }) => state === "running" || state === "stopping");
    if (running.length < mostRunning) return;
    const message = `${running.length} jobs run, which is as many as may at one time; stop one, or wait for its end`;
    throw new ApiError(429, message, { code: "jobs_limit", retryAfter: 60 });
  }

  async #run(
    run: string,
    folder: string,
    args: readonly string[],
    about: Pick<JobRecord, "command" | "commandLine"> & { readonly settings: TypedSettings },
  ): Promise<void> {
    this.#starting = run;
    try {
      const settings = Object.fromEntries(Object.entries(about.settings).map(([key, value]) => [key, [value].flat()]));
      const record = { ...about, settings, startedAt: new Date().toISOString(), process: null, ended: null };
      await writeJobRecord(folder, record);
      this.#latest = null; // it knows nothing of this job
      const { mark, end } = await startProcess(folder, args);
      const started: JobRecord = { ...record, process: mark };
      await writeJobRecord(folder, started);
      void end.then(({ code, signal }) => {
        const ended = { code, signal, at: new Date().toISOString() };
        return this.#changes.run(() => this.#writeEnd(folder, { ...started, ended }));
      });
    } catch (error) {
      throw fileError(folder, "write", error);
    } finally {
      this.#starting = null;
    }
  }

  /** Unless the folder was deleted, or the run resumed meanwhile. */
  async #writeEnd(folder: string, ended: JobRecord): Promise<void> {
    const now = await readJobRecord(folder).catch(() => null);
    if (now === null || !isDeepStrictEqual(now.process, ended.process)) return;
    await writeJobRecord(folder, ended).catch(() => {});
  }

  async #tell(run: string, folder: string): Promise<void> {
    const path = join(folder, runFiles.final);
    if (this.#told.has(run) || !existsSync(join(path, "config.json"))) return;
    this.#told.add(run);
    await this.#settings.made({ name: run.replaceAll("/", "-"), path });
  }

  async #existing(run: string, folder: string): Promise<Job> {
    const job = await this.#read(run, folder);
    if (job === null) throw notHere("job", run, "its folder was deleted");
    return job;
  }

  async #read(run: string, folder: string): Promise<Job | null> {
    const record = await readJobRecord(folder);
    if (record === null) return null;
    const { command, commandLine, settings, startedAt, process: mark } = record;
    const isRunning = this.#starting === run || (mark !== null && isAlive(mark)) || isRunLocked(folder);
    const { hasBegun, isFinished } = await readRunEnd(folder);
    const isStopping = isDeepStrictEqual(this.#stopping.get(run), mark);
    if (isFinished && !isRunning) await this.#tell(run, folder);
    return {
      ...{ run, command, commandLine, settings, startedAt },
      state: isRunning ? (isStopping ? "stopping" : "running") : endOf(record, hasBegun, isFinished),
      canResume: !isRunning && hasBegun && !isFinished,
      endedAt: record.ended?.at ?? null,
      lastLine: await readLastLine(folder),
    };
  }
}

/** What a job is that does not run: how its process ended tells, where a server saw it. */
function endOf({ ended }: JobRecord, hasBegun: boolean, isFinished: boolean): "finished" | "failed" | "stopped" {
  if (isFinished) return "finished";
  const hasFailed = ended === null ? !hasBegun : ended.signal === null && !stoppedCodes.includes(ended.code);
  return hasFailed ? "failed" : "stopped";
}

/** Makes the folder of a new run; false where there is something of that name. */
async function isNew(root: string, folder: string): Promise<boolean> {
  await makeFolder(root);
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw fileError(folder, "write", error);
  }
}

/** The first setting of a run whose path no request could have asked for, or null. */
function unknownPath(
  stage: JobStage,
  settings: Readonly<Record<string, unknown>>,
  places: readonly Place[],
): string | null {
  const unknown = jobFlags(stage).find((flag) => {
    const isKnown = (path: unknown): boolean =>
      typeof path === "string" && namedBy(path, flag, stage, { places, by: "path" }) !== null;
    return namesPlace(flag, stage) && ![settings[flag.key] ?? []].flat().every(isKnown);
  });
  return unknown?.key ?? null;
}

function notHere(what: string, name: string, remedy: string): ApiError {
  const shown = JSON.stringify(name.slice(0, 100));
  return new ApiError(404, `${what} ${shown} is not here; ${remedy}`, { code: "not_found" });
}

function conflict(run: string, why: string): ApiError {
  return new ApiError(409, `run ${JSON.stringify(run.slice(0, 100))}: ${why}`, { code: "conflict" });
}

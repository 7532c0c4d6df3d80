import { existsSync } from "node:fs";
import { relative } from "node:path";
import { findRuns, readRun } from "../train/run-reader.ts";
import type { RunEntry } from "./api/run-answers.ts";

/** The runs that a server shows: those in one folder. Links are not followed, so nothing outside of it is shown. */
export class RunTable {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Every run, with its last numbers; none where there is no folder yet.
   *
   * @throws {FileError} when the folder cannot be read.
   */
  async list(): Promise<RunEntry[]> {
    if (!existsSync(this.folder)) return [];
    const entries: RunEntry[] = [];
    for (const path of await findRuns(this.folder)) {
      const { command, state, startedAt, step, steps, parameters, trainingSeconds, metrics, troubles } =
        await readRun(path);
      const id = relative(this.folder, path).replaceAll("\\", "/") || ".";
      const numbers = { step, steps, parameters, trainingSeconds, metrics: { ...metrics } };
      entries.push({ id, command, state, startedAt, ...numbers, troubles: [...troubles] });
    }
    return entries;
  }
}

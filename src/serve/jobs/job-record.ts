import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../files/atomic-write.ts";
import { systemCode } from "../../files/file-error.ts";

/** What a job leaves in its run's folder, beside the run's own files. */
export const jobFiles = { record: "job.json", log: "job.log" } as const;

const JobRecord = z.object({
  /** The stage. */
  command: z.string(),
  /** The command line that began it, without what it was resumed by. */
  commandLine: z.string(),
  /** Settings as they were typed, to begin another one with. */
  settings: z.record(z.string(), z.array(z.string())),
  startedAt: z.string(),
  process: z.object({ pid: z.int().positive(), host: z.string(), started: z.string().nullable() }).nullable(),
  /** How its process ended, where the server saw that. */
  ended: z.object({ code: z.int().nullable(), signal: z.string().nullable(), at: z.string() }).nullable(),
});

/** What is known of a job, whoever asks later: it outlives the page and the server. */
export type JobRecord = z.output<typeof JobRecord>;

/** Largest record that is read: those of jobs have a few thousand bytes. */
const mostBytes = 2 ** 20;

/** The record of the job in a run's folder; null where there is none, or none that can be read. */
export async function readJobRecord(folder: string): Promise<JobRecord | null> {
  const text = await readStart(join(folder, jobFiles.record), mostBytes);
  if (text === null) return null;
  try {
    return JobRecord.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Writes the record: the old one or the new one is there, whole, whatever happens. */
export async function writeJobRecord(folder: string, record: JobRecord): Promise<void> {
  await writeFileAtomic(join(folder, jobFiles.record), `${JSON.stringify(record, null, 2)}\n`);
}

/** Windows has neither links to follow nor pipes to wait for, and not the flags. */
const reading = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Opens a file of a run's folder to read it, but nothing that a link there points to; null where there is none. */
export async function openOwnFile(path: string): Promise<FileHandle | null> {
  try {
    const file = await open(path, reading);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return null;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}

async function readStart(path: string, most: number): Promise<string | null> {
  const file = await openOwnFile(path);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    return size > most ? null : await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

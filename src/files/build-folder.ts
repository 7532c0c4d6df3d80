import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileError, systemCode } from "./file-error.ts";
import { flushFolder } from "./flush.ts";
import { makeFolder } from "./make-folder.ts";
import { isBeingWritten, whileWriting, writerMark } from "./writers.ts";

/**
 * Makes a folder that is complete or absent, whatever moment the process is killed: `fill` writes into a hidden folder
 * beside the target, which then takes the target's name. Files must be flushed by `fill`. When another process has made
 * the target meanwhile, that one stays. Unfinished folders of processes that died are deleted.
 *
 * @throws {FileError} when the disk is full or the place is not writable.
 */
export async function buildFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const mark = `${unfinishedPrefix(target)}${writerMark()}-${randomBytes(4).toString("hex")}`;
  const unfinished = join(dirname(target), mark);
  await whileWriting(unfinished, () => buildIn(unfinished, target, fill));
}

async function buildIn(unfinished: string, target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  try {
    await makeFolder(dirname(target));
    await removeAbandoned(target);
    await mkdir(unfinished);
    await fill(unfinished);
    await flushFolder(unfinished);
    await putInPlace(unfinished, target);
    await flushFolder(dirname(target));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {}); // must not hide why it failed
    throw fileError(target, "write", error);
  }
}

async function putInPlace(unfinished: string, target: string): Promise<void> {
  try {
    await rename(unfinished, target);
  } catch (error) {
    const taken = ["ENOTEMPTY", "EEXIST", "EPERM"].includes(systemCode(error) ?? "");
    if (!taken || !(await readdir(target).catch(() => null))) throw error;
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Processes are known by their number only to the machine they run on, and a cache may be shared. */
function unfinishedPrefix(target: string): string {
  return `.${basename(target)}.unfinished-${hostname().replaceAll(/[^A-Za-z0-9]/g, "_")}-`;
}

async function removeAbandoned(target: string): Promise<void> {
  const prefix = unfinishedPrefix(target);
  for (const name of await readdir(dirname(target))) {
    const owner = name.startsWith(prefix) ? /^(\d+)\.(\d+)-/.exec(name.slice(prefix.length)) : null;
    const path = join(dirname(target), name);
    if (!owner || isBeingWritten(path, Number(owner[1]), Number(owner[2]))) continue;
    await rm(path, { recursive: true, force: true });
  }
}

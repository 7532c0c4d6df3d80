import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileError, systemCode } from "../files/file-error.ts";
import { SettingsError } from "../core/errors.ts";

/** Who writes a run folder. */
interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks where the system tells it: process numbers are used again. */
  readonly started: string | null;
}

/**
 * Claims a run folder for this process, so that no two write it. The claim of a process that died is taken over.
 *
 * @returns a function that gives the folder back.
 * @throws {SettingsError} when another process has it.
 * @throws {CheckpointError} when the folder cannot be written.
 */
export function lockRun(folder: string): () => void {
  const path = join(folder, "run.lock");
  const own = JSON.stringify({ pid: process.pid, host: hostname(), started: startOf(process.pid) });
  try {
    writeFileSync(path, own, { flag: "wx" });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw fileError(path, "write", error);
    const owner = readOwner(path);
    if (owner !== null && isAlive(owner)) throw inUse(folder, path, owner);
    takeOver(path, own, folder);
  }
  return () => {
    if (readText(path) === own) rmSync(path, { force: true });
  };
}

/** Of several processes that see the same abandoned claim, the last to write has it. */
function takeOver(path: string, own: string, folder: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, own);
  renameSync(temporary, path);
  const owner = readOwner(path);
  if (owner !== null && owner.pid !== process.pid) throw inUse(folder, path, owner);
}

function inUse(folder: string, path: string, owner: Owner): SettingsError {
  const where = owner.host === hostname() ? "" : ` on ${owner.host}`;
  return new SettingsError(
    `${folder} is being written by process ${owner.pid}${where}; wait for it or choose another --output ` +
      `(if it is not running any more, delete ${path})`,
  );
}

/** Whether the owner still runs. On another machine that cannot be known, so it counts as running. */
function isAlive(owner: Owner): boolean {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
  return owner.started === startOf(owner.pid);
}

/** Field 22 of Linux's process status, after the name in parentheses; null on other systems. */
function startOf(pid: number): string | null {
  const status = readText(`/proc/${pid}/stat`);
  return status?.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

/** A claim that cannot be read, such as one cut short by a full disk, has no owner. */
function readOwner(path: string): Owner | null {
  try {
    const owner: unknown = JSON.parse(readText(path) ?? "");
    return typeof owner === "object" && owner !== null && "pid" in owner && "host" in owner ? (owner as Owner) : null;
  } catch {
    return null;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

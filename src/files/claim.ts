import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { FileError } from "../core/errors.ts";
import { fileError, systemCode } from "./file-error.ts";
import type { ProcessMark } from "./process-mark.ts";
import { isAlive, markOf } from "./process-mark.ts";

/** What a claim is for, as the message to whoever comes second names it. */
export interface Claimed {
  /** Folder or file that only its owner may write. */
  readonly what: string;
  /** What else can be done than wait: `choose another --output`. */
  readonly remedy: string;
}

/**
 * Claims something for this process, so that no two write it. The claim of a process that died is taken over.
 *
 * A claim is a folder at `path` with one file in it that has a name of its own. It is made beside its place and put
 * there by renaming, which fails while another one stands there; and an abandoned one is taken away by the name of its
 * file, which cannot hit the claim that another process has put there meanwhile.
 *
 * @returns a function that gives it back.
 * @throws {FileError} when another process has it, naming that process.
 * @throws {FileError} when the folder it is to lie in cannot be written.
 */
export function claim(path: string, claimed: Claimed): () => void {
  const name = `${process.pid}-${randomBytes(6).toString("hex")}`;
  const prepared = join(dirname(path), `.${basename(path)}-${name}`);
  try {
    mkdirSync(prepared);
    writeFileSync(join(prepared, name), JSON.stringify(markOf(process.pid)));
    while (!hasTakenPlace(prepared, path)) removeAbandoned(path, claimed);
  } catch (error) {
    rmSync(prepared, { recursive: true, force: true });
    throw fileError(path, "write", error);
  }
  return () => {
    rmSync(join(path, name), { force: true });
    removeIfEmpty(path);
  };
}

/** Whether a living process has a claim, as far as this machine can know. Changes nothing. */
export function isClaimed(path: string): boolean {
  return namesIn(path).some((name) => {
    const owner = readOwner(join(path, name));
    return owner !== null && isAlive(owner);
  });
}

function hasTakenPlace(prepared: string, path: string): boolean {
  try {
    renameSync(prepared, path);
    return true;
  } catch (error) {
    const taken = process.platform === "win32" ? ["EPERM", "EEXIST"] : ["ENOTEMPTY", "EEXIST"];
    if (taken.includes(systemCode(error) ?? "")) return false;
    throw error;
  }
}

/** Removes the claim at `path` unless its owner lives. */
function removeAbandoned(path: string, claimed: Claimed): void {
  for (const name of namesIn(path)) {
    const owner = readOwner(join(path, name));
    if (owner !== null && isAlive(owner)) throw inUse(claimed, path, owner);
    rmSync(join(path, name), { force: true });
  }
  removeIfEmpty(path);
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "")) throw error;
  }
}

function inUse({ what, remedy }: Claimed, path: string, owner: ProcessMark): FileError {
  const where = owner.host === hostname() ? "" : ` on ${owner.host}`;
  return new FileError(
    `${what} is being written by process ${owner.pid}${where}; wait for it or ${remedy} ` +
      `(if it is not running any more, delete ${path})`,
  );
}

/** A claim that is gone, or cannot be read because a power cut emptied it, has no owner. */
function readOwner(path: string): ProcessMark | null {
  try {
    const owner: unknown = JSON.parse(readText(path) ?? "");
    return typeof owner === "object" && owner !== null && "pid" in owner && "host" in owner
      ? (owner as ProcessMark)
      : null;
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

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return [];
    throw error;
  }
}

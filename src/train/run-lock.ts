import { join } from "node:path";
import { claim, isClaimed } from "../files/claim.ts";

const lockName = "run.lock";

/**
 * Claims a run folder for this process, so that no two write it: see {@link claim}.
 *
 * @returns a function that gives the folder back.
 * @throws {FileError} when another process has it, or the folder cannot be written.
 */
export function lockRun(folder: string): () => void {
  return claim(join(folder, lockName), { what: folder, remedy: "choose another --output" });
}

/** Whether a process writes a run folder, as far as this machine can know. Changes nothing. */
export function isRunLocked(folder: string): boolean {
  return isClaimed(join(folder, lockName));
}

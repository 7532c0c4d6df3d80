import { threadId } from "node:worker_threads";
import { systemCode } from "./file-error.ts";

/** Unfinished files and folders that this thread is writing. */
const own = new Set<string>();

/** Number of this process and thread, as the name of something unfinished has it. */
export function writerMark(): string {
  return `${process.pid}.${threadId}`;
}

/** Runs `body`, which writes at `path`, a name with {@link writerMark} in it. */
export async function whileWriting<Result>(path: string, body: () => Promise<Result>): Promise<Result> {
  own.add(path);
  try {
    return await body();
  } finally {
    own.delete(path);
  }
}

/** Whether the writer of something unfinished, by the numbers in its name, is still at it. */
export function isBeingWritten(path: string, pid: number, thread: number): boolean {
  // In containers a restarted process often has the number of the one that was killed; only our own list tells.
  if (pid === process.pid && thread === threadId) return own.has(path);
  return isRunning(pid);
}

/** Whether this machine runs a process of that number, whoever's it is. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProcessMark } from "../../files/process-mark.ts";
import { isAlive, markOf } from "../../files/process-mark.ts";
import { jobFiles } from "./job-record.ts";

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that was started. */
export interface StartedProcess {
  readonly mark: ProcessMark;
  readonly end: Promise<ProcessEnd>;
}

/** The command, in the package and in a checkout. */
const program = fileURLToPath(new URL("../../../bin/stemma.js", import.meta.url));

/**
 * Starts `stemma` with these words as a process that lives on when this one ends: it leads a group and a session of its own, and
 * what it says goes to the end of the job's log.
 *
 * @throws {Error} with a code of the system's when it cannot be started.
 */
export async function startProcess(folder: string, args: readonly string[]): Promise<StartedProcess> {
  const log = await open(join(folder, jobFiles.log), "a");
  try {
    const child = spawn(process.execPath, [program, ...args], {
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: { ...process.env, NO_COLOR: "1", npm_command: undefined }, // with it, it ends when `npx` does
      windowsHide: true,
    });
    const end = new Promise<ProcessEnd>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    await once(child, "spawn"); // throws what is emitted as an error
    child.unref();
    return { mark: markOf(child.pid ?? 0), end };
  } finally {
    await log.close();
  }
}

/**
 * Sends a signal to the process that a mark is of, and to no other one; to its whole group where it is to be killed.
 *
 * @returns whether it was there.
 */
export function sendSignal(mark: ProcessMark, signal: "SIGTERM" | "SIGKILL"): boolean {
  if (mark.host !== markOf(mark.pid).host || !isAlive(mark)) return false;
  const isGroup = signal === "SIGKILL" && process.platform !== "win32";
  try {
    process.kill(isGroup ? -mark.pid : mark.pid, signal);
    return true;
  } catch {
    return false;
  }
}

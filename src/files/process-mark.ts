import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isRunning } from "./writers.ts";

/** What tells a process from every other one, also from one that has its number later. */
export interface ProcessMark {
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks where the system tells it: process numbers are used again. */
  readonly started: string | null;
}

/** The mark of a process of this machine. */
export function markOf(pid: number): ProcessMark {
  return { pid, host: hostname(), started: statusOf(pid)?.started ?? null };
}

/** Whether a process still runs. On another machine that cannot be known, so it counts as running. */
export function isAlive({ pid, host, started }: ProcessMark): boolean {
  if (host !== hostname()) return true;
  if (!isRunning(pid)) return false;
  const status = statusOf(pid);
  return started === (status?.started ?? null) && status?.hasEnded !== true;
}

/**
 * What Linux says of a process, null on other systems: field 22 of its status, after the name in parentheses, is its start,
 * and the first one whether it has ended and only waits for its parent to ask.
 */
function statusOf(pid: number): { readonly started: string | null; readonly hasEnded: boolean } | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
    return { started: fields[19] ?? null, hasEnded: fields[0] === "Z" || fields[0] === "X" };
  } catch {
    return null;
  }
}

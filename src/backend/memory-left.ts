import { freemem, totalmem } from "node:os";
import { posix } from "node:path";
import { parseBytes } from "../core/byte-size.ts";
import type { ControlGroup, ReadSystemFile } from "./control-groups.ts";
import { controlGroups, readSystemFile } from "./control-groups.ts";
import { environmentChoice } from "./environment-choice.ts";

/**
 * Bytes that this process can still take without the system ending it or writing memory to disk: what the environment's
 * STEMMA_MEMORY says, for people who know better, else the least of what the machine has available and what the
 * containers around the process are granted. Linux says both; of other systems it is known less well.
 *
 * @throws {SettingsError} when STEMMA_MEMORY is no size.
 */
export function memoryLeft(read: ReadSystemFile = readSystemFile): number {
  const chosen = environmentChoice("STEMMA_MEMORY");
  if (chosen !== undefined) return parseBytes(chosen, "STEMMA_MEMORY");
  const [, available] = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "") ?? [];
  const machine = available === undefined ? freeElsewhere() : 1024 * Number(available);
  return Math.max(0, Math.min(machine, ...controlGroups("memory", read).flatMap((group) => leftIn(group, read))));
}

/** macOS fills memory with what it can drop at once, so that little of it is ever free. */
function freeElsewhere(): number {
  return process.platform === "darwin" ? totalmem() : freemem();
}

/** What is left of a group's grant; nothing without one. Contents of files that nobody uses any more are given back first. */
function leftIn({ version, folder }: ControlGroup, read: ReadSystemFile): number[] {
  const [limit, used] = version === 2 ? ["max", "current"] : ["limit_in_bytes", "usage_in_bytes"];
  const number = (name: string): number => Number(read(posix.join(folder, `memory.${name}`))?.trim() ?? Number.NaN);
  const [, cached = "0"] =
    /^(?:total_)?inactive_file (\d+)$/m.exec(read(posix.join(folder, "memory.stat")) ?? "") ?? [];
  const left = number(limit) - number(used) + Number(cached);
  return Number.isFinite(left) ? [left] : [];
}

import { availableParallelism } from "node:os";
import { posix } from "node:path";
import type { ControlGroup, ReadSystemFile } from "./control-groups.ts";
import { controlGroups, readSystemFile } from "./control-groups.ts";

/**
 * Threads that can really run at once: one for each core that this process may use, or fewer where the container it is
 * in is granted less time than that. Beyond it threads only wait for each other, and for the next period of the quota.
 *
 * Linux keeps the quota in control groups: `cpu.max` of version 2, `cpu.cfs_quota_us` of version 1. Part of a core
 * counts as one.
 *
 * @param cores - Cores that this process may use.
 */
export function availableThreads(cores = availableParallelism(), read = readSystemFile): number {
  const quotas = controlGroups("cpu", read).flatMap((group) => quotaOf(group, read));
  return Math.max(1, Math.min(cores, ...quotas.map(Math.ceil)));
}

/** Cores' worth of time that a group is granted; nothing without a limit, which is `max` in one version, -1 in the other. */
function quotaOf({ version, folder }: ControlGroup, read: ReadSystemFile): number[] {
  const [quota = "max", period = "100000"] =
    version === 2
      ? (read(posix.join(folder, "cpu.max"))?.trim().split(/\s+/) ?? [])
      : ["quota", "period"].map((what) => read(posix.join(folder, `cpu.cfs_${what}_us`))?.trim());
  const cores = Number(quota) / Number(period);
  return cores > 0 && Number.isFinite(cores) ? [cores] : [];
}

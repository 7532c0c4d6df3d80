import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { posix } from "node:path";

/**
 * Threads that can really run at once: one for each core that this process may use, or fewer where the container it is
 * in is granted less time than that. Beyond it threads only wait for each other, and for the next period of the quota.
 *
 * Linux keeps the quota in control groups: `cpu.max` of version 2, `cpu.cfs_quota_us` of version 1, at the process's own
 * group and at those above it, of which the smallest counts. Part of a core counts as one.
 *
 * @param cores - Cores that this process may use.
 * @param read - Contents of a file of the system, or null where there is none.
 */
export function availableThreads(cores = availableParallelism(), read = readSystemFile): number {
  const quotas = (read("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => groupQuotas(line, read));
  return Math.max(1, Math.min(cores, ...quotas.map(Math.ceil)));
}

type Read = (path: string) => string | null;

/** Cores' worth of time granted by a line of `/proc/self/cgroup`, `number:controllers:group`, at every level. */
function groupQuotas(line: string, read: Read): number[] {
  const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
  if (controllers === undefined || group === undefined) return [];
  if (controllers === "") {
    return levels(group).flatMap((level) => {
      const [quota, period] =
        read(posix.join("/sys/fs/cgroup", level, "cpu.max"))
          ?.trim()
          .split(/\s+/) ?? [];
      return share(quota, period);
    });
  }
  if (!controllers.split(",").includes("cpu")) return [];
  return ["cpu", controllers].flatMap((mount) =>
    levels(group).flatMap((level) => {
      const [quota, period] = ["quota", "period"].map((what) =>
        read(posix.join("/sys/fs/cgroup", mount, level, `cpu.cfs_${what}_us`)),
      );
      return share(quota?.trim(), period?.trim());
    }),
  );
}

/** A group and all above it. In a container the lower ones may not be visible, and its own is at the top. */
function levels(group: string): string[] {
  return group === "/" ? ["/"] : [group, ...levels(posix.dirname(group))];
}

/** No limit is `max` in one version, -1 in the other. */
function share(quota = "max", period = "100000"): number[] {
  const cores = Number(quota) / Number(period);
  return cores > 0 && Number.isFinite(cores) ? [cores] : [];
}

function readSystemFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

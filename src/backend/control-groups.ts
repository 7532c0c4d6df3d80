import { readFileSync } from "node:fs";
import { posix } from "node:path";

/** Contents of a file of the system, or null where there is none. */
export type ReadSystemFile = (path: string) => string | null;

/** Where Linux keeps what a group of processes is granted: files whose names differ between the two versions. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

/**
 * The groups that limit this process in one respect: its own and all above it, of which the smallest limit counts. None
 * where the system has no such groups.
 *
 * @param controller - What is limited: `cpu` or `memory`.
 */
export function controlGroups(controller: string, read: ReadSystemFile = readSystemFile): ControlGroup[] {
  return (read("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => groupsOf(line, controller));
}

/** Those of a line of `/proc/self/cgroup`, `number:controllers:group`, at every level. */
function groupsOf(line: string, controller: string): ControlGroup[] {
  const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
  if (controllers === undefined || group === undefined) return [];
  if (controllers === "") {
    return levels(group).map((level) => ({ version: 2, folder: posix.join("/sys/fs/cgroup", level) }));
  }
  if (!controllers.split(",").includes(controller)) return [];
  return [...new Set([controller, controllers])].flatMap((mount) =>
    levels(group).map((level): ControlGroup => ({ version: 1, folder: posix.join("/sys/fs/cgroup", mount, level) })),
  );
}

/** A group and all above it. In a container the lower ones may not be visible, and its own is at the top. */
function levels(group: string): string[] {
  return group === "/" ? ["/"] : [group, ...levels(posix.dirname(group))];
}

/** A {@link ReadSystemFile} of the real system. */
export function readSystemFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

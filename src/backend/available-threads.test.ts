import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { availableThreads } from "./available-threads.ts";

const group = "/sys/fs/cgroup";

test.each<[string, number, Record<string, string>]>([
  ["no control groups", 16, {}],
  ["version 2 without a limit", 16, { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "max 100000\n" }],
  [
    "version 2, a container of two cores",
    2,
    { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "200000 100000\n" },
  ],
  ["part of a core counts as one", 3, { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "250000 100000\n" }],
  ["less than one core", 1, { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "10000 100000\n" }],
  ["more than there is", 16, { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "6400000 100000\n" }],
  [
    "a group above is narrower",
    4,
    {
      "/proc/self/cgroup": "0::/user.slice/job\n",
      [`${group}/user.slice/job/cpu.max`]: "800000 100000\n",
      [`${group}/user.slice/cpu.max`]: "400000 100000\n",
    },
  ],
  [
    "version 1 without a limit",
    16,
    { "/proc/self/cgroup": "4:memory:/x\n1:cpu:/\n", [`${group}/cpu/cpu.cfs_quota_us`]: "-1\n" },
  ],
  [
    "version 1, the host's path of a container that sees its own group at the top",
    2,
    {
      "/proc/self/cgroup": "3:cpu,cpuacct:/docker/3f2a\n0::/\n",
      [`${group}/cpu,cpuacct/cpu.cfs_quota_us`]: "100000\n",
      [`${group}/cpu,cpuacct/cpu.cfs_period_us`]: "50000\n",
    },
  ],
  ["what is no number", 16, { "/proc/self/cgroup": "0::/\n", [`${group}/cpu.max`]: "many\n" }],
])("%s: %i threads of 16 cores", (_, expected, files) => {
  expect(availableThreads(16, (path) => files[path] ?? null)).toBe(expected);
});

test("this machine has some, and not more than it has cores", () => {
  expect(availableThreads()).toBeGreaterThan(0);
  expect(availableThreads()).toBeLessThanOrEqual(availableParallelism());
});

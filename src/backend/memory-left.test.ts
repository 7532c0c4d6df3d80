import { afterEach, expect, test, vi } from "vitest";
import { SettingsError } from "../core/errors.ts";
import { memoryLeft } from "./memory-left.ts";

vi.stubEnv("STEMMA_MEMORY", "");
afterEach(() => void vi.stubEnv("STEMMA_MEMORY", ""));

const machine = { "/proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:    8000 kB\n" };
const inFiles =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | null =>
    files[path] ?? null;

test("what the machine has available", () => {
  expect(memoryLeft(inFiles(machine))).toBe(8000 * 1024);
});

test("the smallest grant of the containers around, without what is only cached", () => {
  const version2 = {
    ...{ ...machine, "/proc/self/cgroup": "0::/outer/inner\n" },
    ...{ "/sys/fs/cgroup/outer/inner/memory.max": "max\n", "/sys/fs/cgroup/outer/inner/memory.current": "100\n" },
    ...{ "/sys/fs/cgroup/outer/memory.max": "5000\n", "/sys/fs/cgroup/outer/memory.current": "4000\n" },
    "/sys/fs/cgroup/outer/memory.stat": "file 900\ninactive_file 500\n",
  };
  expect(memoryLeft(inFiles(version2))).toBe(1500);
  const folder = "/sys/fs/cgroup/memory/box";
  const version1 = {
    ...{ ...machine, "/proc/self/cgroup": "4:memory:/box\n0::/\n" },
    ...{ [`${folder}/memory.limit_in_bytes`]: "3000\n", [`${folder}/memory.usage_in_bytes`]: "2900\n" },
    [`${folder}/memory.stat`]: "inactive_file 10\ntotal_inactive_file 20\n",
  };
  expect(memoryLeft(inFiles(version1))).toBe(110);
});

test("whoever knows better says so", () => {
  vi.stubEnv("STEMMA_MEMORY", "2GiB");
  expect(memoryLeft(inFiles(machine))).toBe(2 ** 31);
  vi.stubEnv("STEMMA_MEMORY", "lots");
  expect(() => memoryLeft()).toThrow(new SettingsError('STEMMA_MEMORY: "lots" is no size; write it as 16GB or 512MB'));
});

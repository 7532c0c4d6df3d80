import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isAlive, markOf } from "./process-mark.ts";

test("a process is known by its start, too: another one with its number is not the same", async () => {
  const own = markOf(process.pid);
  expect(isAlive(own)).toBe(true);
  if (own.started !== null) expect(isAlive({ ...own, started: "1" })).toBe(false);
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const mark = markOf(child.pid ?? 0);
  expect(isAlive(mark)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(isAlive(mark)).toBe(false);
  expect(isAlive({ ...mark, host: "another machine" })).toBe(true);
});

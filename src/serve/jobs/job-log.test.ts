import { appendFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { readLastLine, readLog } from "./job-log.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-job-log-"));
const log = join(folder, "job.log");
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => rmSync(log, { force: true }));

test("a log comes in parts that end with whole characters", async () => {
  expect(await readLog(folder, 0)).toEqual({ text: "", from: 0, next: 0 });
  const bytes = Buffer.from("größer 🙂\n");
  writeFileSync(log, bytes.subarray(0, 4)); // ends in the middle of ß
  expect(await readLog(folder, 0)).toEqual({ text: "grö", from: 0, next: 4 });
  writeFileSync(log, bytes.subarray(0, 5));
  expect(await readLog(folder, 0)).toEqual({ text: "grö", from: 0, next: 4 });
  appendFileSync(log, bytes.subarray(5, 11));
  expect(await readLog(folder, 4)).toEqual({ text: "ßer ", from: 4, next: 9 });
  appendFileSync(log, bytes.subarray(11));
  expect(await readLog(folder, 9)).toEqual({ text: "🙂\n", from: 9, next: bytes.length });
  expect(await readLog(folder, bytes.length)).toEqual({ text: "", from: bytes.length, next: bytes.length });
  expect((await readLog(folder, 1000)).from).toBe(0); // another log
});

test("of a long log the newest part comes, of a long line its beginning", async () => {
  writeFileSync(log, "ä".repeat(2 ** 20));
  const { text, from, next } = await readLog(folder, 1);
  expect([text, from, next]).toEqual(["ä".repeat(2 ** 15), 2 ** 21 - 2 ** 16, 2 ** 21]);
  expect(await readLastLine(folder)).toBe(`${"ä".repeat(300)}…`);
  appendFileSync(log, "\nstep 1\n\n");
  expect(await readLastLine(folder)).toBe("step 1");
});

test("what a link points to is not read", async () => {
  symlinkSync("/etc/hostname", log);
  expect(await readLog(folder, 0)).toEqual({ text: "", from: 0, next: 0 });
});

import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { JsonLinesLog, readLogRecords } from "./log.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-log-"));
  path = join(folder, "metrics.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a log holds one object a line, in order", async () => {
  const log = await JsonLinesLog.open(path, 0);
  log.append({ step: 1, loss: 2.5 });
  log.append({ step: 2, loss: Number.NaN });
  log.close();
  expect(readFileSync(path, "utf8")).toBe('{"step":1,"loss":2.5}\n{"step":2,"loss":null}\n');
  expect(await readLogRecords(path)).toEqual([
    { step: 1, loss: 2.5 },
    { step: 2, loss: null },
  ]);
});

test("a resumed log forgets later steps, then grows again", async () => {
  writeFileSync(path, [1, 2, 3, 4].map((step) => `{"step":${step}}\n`).join(""));
  const log = await JsonLinesLog.open(path, 2);
  log.append({ step: 3, again: true });
  log.close();
  expect(await readLogRecords(path)).toEqual([{ step: 1 }, { step: 2 }, { step: 3, again: true }]);
});

test("a line cut short by a kill is left out, and gone after resuming", async () => {
  writeFileSync(path, '{"step":1}\n{"step":2,"lo');
  expect(await readLogRecords(path)).toEqual([{ step: 1 }]);
  (await JsonLinesLog.open(path, 9)).close();
  expect(readFileSync(path, "utf8")).toBe('{"step":1}\n');
  appendFileSync(path, "null\n5\n{}\n");
  expect(await readLogRecords(path)).toEqual([{ step: 1 }]);
});

test("no file is an empty log", async () => {
  expect(await readLogRecords(path)).toEqual([]);
});

test("a log where none can be is a clear error", async () => {
  await expect(JsonLinesLog.open(join(folder, "missing", "metrics.jsonl"), 0)).rejects.toThrow(/cannot write/);
});

import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LogPart } from "./follow-log.ts";
import { followLog } from "./follow-log.ts";
import type { LogPlace } from "./log-file.ts";

let path = "";
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "stemma-follow-")), "metrics.jsonl");
});
afterEach(() => rmSync(join(path, ".."), { recursive: true }));

async function read(from: LogPlace | null = null): Promise<LogPart[]> {
  const parts: LogPart[] = [];
  for await (const part of followLog(path, from)) parts.push(part);
  return parts;
}

test("a log that grows is read on from where it was, a half-written line when it is whole", async () => {
  writeFileSync(path, '{"step":1,"loss":4}\n{"step":2,"lo');
  const [first] = await read();
  expect(first).toMatchObject({ records: [{ step: 1, loss: 4 }], damagedLines: 0, isAnew: false });
  expect(first?.place.offset).toBe(20);
  expect(await read(first?.place)).toEqual([]);
  appendFileSync(path, 'ss":3.5}\n{"step":3}\n');
  const [second] = await read(first?.place);
  expect(second).toMatchObject({ records: [{ step: 2, loss: 3.5 }, { step: 3 }], isAnew: false });
});

test("a log that another run put in its place is read from its beginning", async () => {
  writeFileSync(path, '{"step":1}\n{"step":2}\n');
  const [part] = await read();
  writeFileSync(`${path}.new`, '{"step":1}\n{"step":2,"of":"the new file"}\n');
  renameSync(`${path}.new`, path);
  expect(await read(part?.place)).toMatchObject([
    { records: [{ step: 1 }, { step: 2, of: "the new file" }], isAnew: true },
  ]);
  writeFileSync(`${path}.new`, "");
  renameSync(`${path}.new`, path);
  expect(await read(part?.place)).toMatchObject([{ records: [], isAnew: true, place: { offset: 0 } }]);
});

test("lines that are no records are counted, and letters of several bytes are whole", async () => {
  writeFileSync(path, '{"step":1,"text":"世界"}\nnot json\n[1]\n\n{"step":"2"}\n{"step":3}\r\n');
  expect(await read()).toMatchObject([{ records: [{ step: 1, text: "世界" }, { step: 3 }], damagedLines: 3 }]);
});

test("a log is read in parts, and a line longer than any record does not end it", async () => {
  const record = `{"step":1,"text":"${"x".repeat(3_000_000)}"}\n`;
  writeFileSync(path, `${record}${record}${"y".repeat(9_000_000)}\n{"step":2}\n`);
  const parts = await read();
  expect(parts.flatMap(({ records }) => records.map(({ step }) => step))).toEqual([1, 1, 2]);
  expect(parts.length).toBeGreaterThan(2);
  expect(parts.reduce((sum, { damagedLines }) => sum + damagedLines, 0)).toBeGreaterThan(0);
});

test("where there is no file there is nothing", async () => {
  expect(await read()).toEqual([]);
  mkdirSync(path);
  expect(await read()).toEqual([]);
});

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { RunTable } from "./run-table.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-run-table-"));
afterAll(() => rmSync(root, { recursive: true }));

function writeRun(...parts: string[]): string {
  const path = join(root, ...parts);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "metrics.jsonl"), '{"step":3,"loss":2}\n');
  return path;
}

test("a folder that is itself a run is called by its own name, not by a dot that addresses lose", async () => {
  const table = new RunTable(writeRun("alone"));
  expect((await table.all()).map(({ id, report }) => [id, report.step])).toEqual([["alone", 3]]);
  expect((await table.get("alone")).path).toBe(table.folder);
});

test("a run whose files are links to themselves does not hide the others", async () => {
  writeRun("runs", "good");
  const bad = writeRun("runs", "bad");
  symlinkSync("final", join(bad, "final"));
  const all = await new RunTable(join(root, "runs")).all();
  expect(all.map(({ id, report }) => [id, report.step, report.model])).toEqual([
    ["bad", 3, null],
    ["good", 3, null],
  ]);
});

test("folders that are linked to are no runs here; a log that a run links to is read", async () => {
  const path = writeRun("linking", "own");
  const elsewhere = writeRun("elsewhere");
  symlinkSync(elsewhere, join(root, "linking", "other"));
  renameSync(join(path, "metrics.jsonl"), join(root, "own.jsonl"));
  symlinkSync(join(root, "own.jsonl"), join(path, "metrics.jsonl"));
  const all = await new RunTable(join(root, "linking")).all();
  expect(all.map(({ id, report }) => [id, report.step])).toEqual([["own", 3]]);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";

const parent = mkdtempSync(join(tmpdir(), "stemma-claims-"));
afterAll(() => rmSync(parent, { recursive: true }));

const rounds = 200;

interface Claims {
  readonly won: readonly number[];
  readonly reasons: readonly string[];
}

/** So many processes claim every folder at the same moments; all live until the last is done, and leave their claims. */
async function race(count: number): Promise<Claims[]> {
  const program = join(import.meta.dirname, "run-claims.ts");
  const args = ["--import", "tsx", program, parent, String(rounds)];
  const rivals = Array.from({ length: count }, () => {
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  });
  for (const { lines } of rivals) await lines.next();
  const start = Date.now() + 50;
  for (const { child } of rivals) child.stdin.write(`${start}\n`);
  const said = await Promise.all(rivals.map(async ({ lines }) => String((await lines.next()).value)));
  const ends = rivals.map(({ child }) => once(child, "close"));
  for (const { child } of rivals) child.stdin.end();
  await Promise.all(ends);
  return said.map((line) => JSON.parse(line));
}

test("of processes that find the same abandoned claim at the same moment, one gets it", async () => {
  for (let round = 0; round < rounds; round++) mkdirSync(join(parent, String(round)));
  expect((await race(1))[0]?.won).toHaveLength(rounds);
  const rivals = await race(3);
  const won = rivals.flatMap((rival) => rival.won).sort((a, b) => a - b);
  expect(won).toEqual(Array.from({ length: rounds }, (_, round) => round));
  const reasons = new Set(rivals.flatMap((rival) => rival.reasons));
  expect([...reasons]).toEqual([expect.stringContaining("is being written by process N; wait for it")]);
  for (let round = 0; round < rounds; round++) expect(readdirSync(join(parent, String(round)))).toEqual(["run.lock"]);
}, 60_000);

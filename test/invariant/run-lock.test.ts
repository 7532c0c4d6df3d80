import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const parent = mkdtempSync(join(tmpdir(), "stemma-claims-"));
afterAll(() => rmSync(parent, { recursive: true }));

const rounds = 200;

/** Claims every folder in a process of its own, which ends and leaves its claims behind. */
async function claimAll(start: number): Promise<{ won: number[]; reasons: string[] }> {
  const program = join(import.meta.dirname, "run-claims.ts");
  const args = ["--import", "tsx", program, parent, String(rounds), String(start)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  await once(child, "close");
  return JSON.parse(said);
}

test("of processes that find the same abandoned claim at the same moment, one gets it", async () => {
  for (let round = 0; round < rounds; round++) mkdirSync(join(parent, String(round)));
  expect((await claimAll(0)).won).toHaveLength(rounds);
  const start = Date.now() + 3000;
  const rivals = await Promise.all([claimAll(start), claimAll(start), claimAll(start)]);
  const won = rivals.flatMap((rival) => rival.won).sort((a, b) => a - b);
  expect(won).toEqual(Array.from({ length: rounds }, (_, round) => round));
  const reasons = new Set(rivals.flatMap((rival) => rival.reasons));
  expect([...reasons]).toEqual([expect.stringContaining("is being written by process N; wait for it")]);
  for (let round = 0; round < rounds; round++) expect(readdirSync(join(parent, String(round)))).toEqual(["run.lock"]);
}, 60_000);

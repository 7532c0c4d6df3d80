/**
 * Claims run folders one after another, a round every few milliseconds and at the same moments as its rivals: a process
 * that a test races with others. Says that it is ready, reads when to start (in milliseconds), says which rounds it won
 * and why it lost the others, and keeps what it has until its input ends.
 * Arguments: parent of the folders, rounds.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { lockRun } from "../../src/train/run-lock.ts";

const [parent = "", rounds = "0"] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
process.stdout.write("ready\n");
const start = Number((await lines.next()).value);
const won: number[] = [];
const reasons = new Set<string>();
for (let round = 0; round < Number(rounds); round++) {
  while (Date.now() < start + 5 * round);
  try {
    lockRun(join(parent, String(round)));
    won.push(round);
  } catch (error) {
    reasons.add(String(error).replaceAll(/\d+/g, "N"));
  }
}
process.stdout.write(`${JSON.stringify({ won, reasons: [...reasons] })}\n`);
await lines.next();

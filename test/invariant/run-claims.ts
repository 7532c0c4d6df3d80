/**
 * Claims run folders one after another, a round every few milliseconds and at the same moments as its rivals, and keeps
 * what it gets: a process that a test races with others. Says which rounds it won, then why it lost the others.
 * Arguments: parent of the folders, rounds, time of the first in milliseconds.
 */
import { join } from "node:path";
import { lockRun } from "../../src/train/run-lock.ts";

const [parent = "", rounds = "0", start = "0"] = process.argv.slice(2);
const won: number[] = [];
const reasons = new Set<string>();
for (let round = 0; round < Number(rounds); round++) {
  while (Date.now() < Number(start) + 5 * round);
  try {
    lockRun(join(parent, String(round)));
    won.push(round);
  } catch (error) {
    reasons.add(String(error).replaceAll(/\d+/g, "N"));
  }
}
process.stdout.write(JSON.stringify({ won, reasons: [...reasons] }));

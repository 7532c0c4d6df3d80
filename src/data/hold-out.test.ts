import { expect, test } from "vitest";
import { holdOut } from "./hold-out.ts";

const rows = Array.from({ length: 400 }, (_, i) => ({ question: `question ${i % 200}`, answer: i }));
const key = ({ question }: { question: string }): string => question;

test("about the share asked for is held out, and one question stays on one side", async () => {
  const { training, heldOut } = await holdOut(rows, 0.2, key);
  expect(training.length + heldOut.length).toBe(400);
  expect(heldOut.length / 400).toBeGreaterThan(0.12);
  expect(heldOut.length / 400).toBeLessThan(0.28);
  const trained = new Set(training.map(key));
  expect(heldOut.some((row) => trained.has(key(row)))).toBe(false);
});

test("when nothing would be left to train on, that is said", async () => {
  const held = holdOut(rows, 0.99, () => "the same for all");
  await expect(held).rejects.toThrow(/all 400 rows fall into the share of 0.99/);
});

test("others have their turn while many rows are told apart", async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  let keys = 0;
  await holdOut(Array.from({ length: 100_000 }), 0.1, () => String(keys++));
  clearInterval(timer);
  expect([keys, turns > 0]).toEqual([100_000, true]);
});

import { expect, test } from "vitest";
import type { RunEntry } from "../../../src/serve/api/run-answers.ts";
import { lineageRows } from "./lineage.ts";

function entry(id: string, parent: string | null, startedAt: string): RunEntry {
  const origins = [{ role: "model", run: parent, path: `${parent}/final` }];
  const numbers = { step: 1, steps: 1, parameters: null, trainingSeconds: 0, secondsLeft: null, metrics: {} };
  return { id, command: "sft", state: "finished", startedAt, ...numbers, origins, troubles: [] };
}

const shape = (runs: readonly RunEntry[]): string[] =>
  lineageRows(runs).map(({ run, goesOn }) => `${goesOn.map((on) => (on ? "|" : "-")).join("")}${run.id}`);

test("each run stands below the one that it went on from, in the order in which they were started", () => {
  const runs = [
    entry("ppo", "sft", "3"),
    entry("dpo", "sft", "4"),
    entry("base", null, "1"),
    entry("sft", "base", "2"),
  ];
  expect(shape([...runs, entry("other", "base", "5"), entry("alone", "gone", "0")])).toEqual([
    "alone",
    "base",
    "|sft",
    "||ppo",
    "|-dpo",
    "-other",
  ]);
});

test("settings that make a circle of runs lose none of them", () => {
  const runs = [entry("a", "b", "1"), entry("b", "a", "2"), entry("c", "c", "3"), entry("d", "a", "4")];
  expect(
    lineageRows(runs)
      .map(({ run }) => run.id)
      .sort(),
  ).toEqual(["a", "b", "c", "d"]);
});

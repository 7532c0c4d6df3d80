import { expect, test } from "vitest";
import { runOrigins } from "./run-origins.ts";

const ids = new Set(["base", "road/base", "sft", "deep/road/base"]);
const known = {
  has: (id: string): boolean => ids.has(id),
  idOf: (path: string): string => path.replace("/runs/", ""),
};
const runOf = (path: string): string | null | undefined => runOrigins({ model: path }, known)[0]?.run;

test.each([
  ["/runs/road/base/final", "road/base"],
  ["/runs/base/checkpoint-20/", "base"],
  ["/moved/away/road/base/final", "road/base"], // the longest that it ends with
  ["C:\\moved\\road\\base\\final", "road/base"],
  ["/moved/other/base", "base"],
  ["sft/final", "sft"],
  ["/runs/base/final/model", null],
  ["hub:someone/something", null],
])("%s was made by %s", (path, run) => expect(runOf(path)).toBe(run));

test("every setting that names a model is an origin, the run's own line first", () => {
  expect(runOrigins({ reward: "/runs/sft/final", steps: 3, teacher: "", model: "gpt2" }, known)).toEqual([
    { role: "model", run: null, path: "gpt2" },
    { role: "reward", run: "sft", path: "/runs/sft/final" },
  ]);
});

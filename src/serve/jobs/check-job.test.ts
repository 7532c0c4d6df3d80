import { resolve } from "node:path";
import { expect, test } from "vitest";
import { grpo } from "../../stages/grpo.ts";
import { pretrain } from "../../stages/pretrain/index.ts";
import { reward } from "../../stages/reward.ts";
import type { TypedSettings } from "./check-job.ts";
import { checkJob } from "./check-job.ts";
import type { JobStage } from "./stage-form.ts";

const around = {
  root: "runs",
  places: [
    { name: "runs/sft/final", path: resolve("runs/sft/final"), kind: "model" as const },
    { name: "runs/rankings.jsonl", path: resolve("runs/rankings.jsonl"), kind: "file" as const },
    { name: "runs/judge.js", path: resolve("runs/judge.js"), kind: "file" as const },
  ],
};
const whole = { model: "runs/sft/final", data: ["runs/rankings.jsonl"], output: "judge-1" };

function problemsOf(stage: JobStage, given: TypedSettings): Record<string, string> {
  const checked = checkJob(stage, given, around);
  return "problems" in checked ? Object.fromEntries(checked.problems) : {};
}

test("settings that fit become words of a command line, with the paths of what they name", () => {
  const given = { ...whole, steps: "10", learningRate: "1e-4", check: "yes", longRows: "", seed: "-0" };
  expect(checkJob(reward, given, around)).toEqual({
    run: "judge-1",
    args: [
      "reward",
      `--model=${resolve("runs/sft/final")}`,
      `--data=${resolve("runs/rankings.jsonl")}`,
      "--check=yes",
      `--output=${resolve("runs/judge-1")}`,
      "--steps=10",
      "--learning-rate=1e-4",
      "--seed=-0",
    ],
    commandLine:
      "stemma reward --model runs/sft/final --data runs/rankings.jsonl --check yes --output runs/judge-1 --steps 10 " +
      "--learning-rate 1e-4 --seed=-0",
  });
});

test("what is wrong is said for each setting, in the words of the command line", () => {
  expect(problemsOf(reward, { steps: "-1", batchSize: "8.5", longRows: "skipp", nonsense: "1", output: "a" })).toEqual({
    model: expect.stringMatching(/^--model is missing; give --model <folder>/),
    data: expect.stringMatching(/^--data is missing/),
    steps: "--steps must be at least 0, got -1",
    batchSize: "--batch-size must be an integer, got 8.5",
    longRows: expect.stringMatching(/^--long-rows must be one of error, skip, got "skipp"/),
    nonsense: 'stemma reward has no setting "nonsense"',
  });
});

test("nothing but what the server found becomes a path", () => {
  const named = (change: TypedSettings): string[] => Object.keys(problemsOf(reward, { ...whole, ...change }));
  for (const path of ["/etc/passwd", "runs/sft", "runs/sft/final/", "runs/sft/../sft/final", "hub:a/b", "~"]) {
    expect(named({ model: path }), path).toEqual(["model"]);
    expect(named({ data: ["runs/rankings.jsonl", path] }), path).toEqual(["data"]);
  }
  expect(named({ model: "runs/rankings.jsonl" })).toEqual(["model"]);
  for (const name of ["../x", "a/b", "/x", "..", ".x", "-x", "x y", "", "x".repeat(65), "x\u202e"]) {
    expect(named({ output: name }), name).toEqual(["output"]);
  }
  expect(named({ resume: "yes" })).toEqual(["resume"]);
  expect(named({ output: "a\0b" })).toEqual(["output"]);
  // A judge may be a module, whose code runs: files are no models.
  const prompts = ["runs/rankings.jsonl"];
  const given = { model: whole.model, prompts, output: "x", reward: ["runs/judge.js"] };
  expect(Object.keys(problemsOf(grpo, given))).toEqual(["reward"]);
  expect(problemsOf(grpo, { ...given, reward: ["exact"] })).toEqual({});
});

test("words that stand for something are taken where a path may stand, too", () => {
  const given = { data: ["runs/rankings.jsonl"], output: "first", model: "gpt2", tokenizer: "bpe-512" };
  expect(checkJob(pretrain, given, around)).toHaveProperty("run", "first");
  expect(Object.keys(problemsOf(pretrain, { ...given, tokenizer: "bpe-512/../../x", model: "gpt22" }))).toEqual([
    "model",
    "tokenizer",
  ]);
});

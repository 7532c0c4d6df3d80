import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openNative } from "../../src/backend/native/index.ts";
import { stemma } from "./stemma.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-road-"));
  const write = (name: string, rows: readonly object[]): void =>
    writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const repeat = (row: object): object[] => Array.from({ length: 12 }, () => row);
  writeFileSync(join(folder, "text.txt"), "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
  write("talks.jsonl", repeat({ prompt: "the cat", completion: "sat on the mat" }));
  write("prompts.jsonl", repeat({ prompt: "the dog" }));
  write("pairs.jsonl", repeat({ prompt: "the cat", chosen: "sat", rejected: "log" }));
  write("thumbs.jsonl", [
    ...repeat({ prompt: "the cat", completion: "sat", label: true }),
    ...repeat({ prompt: "the dog", completion: "log", label: false }),
  ]);
  write("sums.jsonl", repeat({ prompt: "the dog", answer: "sat" }));
  writeFileSync(join(folder, "judge.mjs"), "export default (prompt, completion, row) => completion.length / 10;\n");
  writeFileSync(join(folder, "schema.json"), '{"type":"object"}');
  write(
    "rows.jsonl",
    ["cat", "dog"].flatMap((label) => repeat({ text: `the ${label}`, label })),
  );
  write("questions.jsonl", [{ q: "the cat sat on the", a: "mat" }]);
  const task = { task: "mats", dataset_path: "json", dataset_kwargs: { data_files: { test: "questions.jsonl" } } };
  const prompts = { test_split: "test", output_type: "multiple_choice", doc_to_text: "{{q}}", doc_to_target: 0 };
  writeFileSync(join(folder, "task.yaml"), JSON.stringify({ ...task, ...prompts, doc_to_choice: ["mat", "log"] }));
});
afterAll(() => rmSync(folder, { recursive: true }));

const stage = (words: string, output: string): string[] => [
  ...words.split(" "),
  ...["--steps", "2", "--batch-size", "4", "--output", output],
];
const sizes = "--tokenizer bpe-300 --layers 1 --heads 2 --width 16 --context 96";

/** Each line needs what an earlier one made. The last column is what has to be there afterwards. */
test.each([
  [stage(`pretrain --model gpt2 --data text.txt ${sizes}`, "base"), "base/final/model.safetensors"],
  [stage("sft --model base/final --data talks.jsonl --max-new-tokens 4", "sft"), "sft/final/model.safetensors"],
  [stage("reward --model sft/final --data pairs.jsonl", "reward"), "reward/final/model.safetensors"],
  [stage("dpo --model sft/final --data pairs.jsonl", "dpo"), "dpo/final/model.safetensors"],
  [
    stage("ppo --model sft/final --reward reward/final --prompts prompts.jsonl --answers 4 --max-new-tokens 4", "ppo"),
    "ppo/final/model.safetensors",
  ],
  [
    stage(
      "grpo --model sft/final --prompts sums.jsonl --reward exact judge.mjs reward/final --reward-pattern ^the " +
        "--reward-schema schema.json --reward-weights 1 0.5 0.1 1 1 --answers 4 --generations 2 --max-new-tokens 4 --beta 0.1",
      "grpo",
    ),
    "grpo/final/model.safetensors",
  ],
  [
    stage("distill --model sft/final --teacher dpo/final --data talks.jsonl --divergence jsd", "taught"),
    "taught/final",
  ],
  [stage("dpo --loss kto --model sft/final --data thumbs.jsonl", "kto"), "kto/final/model.safetensors"],
  [
    stage("finetune --task classification --model base/final --data rows.jsonl", "cats"),
    "cats/final/model.safetensors",
  ],
  [["predict", "--model", "cats/final", "--data", "rows.jsonl", "--output", "answers.jsonl"], "answers.jsonl"],
  [["sample", "--model", "sft/final", "--prompts", "prompts.jsonl", "--output", "samples.jsonl"], "samples.jsonl"],
  [["eval", "--model", "base/final", "--tasks", "task.yaml", "--output", "results"], "results"],
])("%j", async (args, made) => {
  const { code, stderr } = await stemma(args, { cwd: folder });
  expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
  expect(existsSync(join(folder, made))).toBe(true);
});

test("a trained model continues, answers and scores", async () => {
  const text = ["--prompt", "the cat", "--max-new-tokens", "5", "--json"];
  const generated = await stemma(["generate", "--model", "base/final", ...text], { cwd: folder });
  expect(JSON.parse(generated.stdout)).toMatchObject({ tokens: 5, continuations: [{ prompt: "the cat" }] });
  const said = ["--message", "the cat", "--max-new-tokens", "5", "--json"];
  const chatted = await stemma(["chat", "--model", "sft/final", ...said], { cwd: folder });
  expect(JSON.parse(chatted.stdout).messages).toMatchObject([{ role: "user" }, { role: "assistant" }]);
  const scored = await stemma(["score", "--model", "base/final", "--text", "the cat sat on a hat", "--json"], {
    cwd: folder,
  });
  const { logProbs, loss } = JSON.parse(scored.stdout) as { logProbs: (number | null)[]; loss: number };
  const known = logProbs.filter((value) => value !== null);
  expect(known.length).toBeGreaterThan(2);
  expect(loss).toBeCloseTo(-known.reduce((sum, value) => sum + value, 0) / known.length, 5);
});

test("a backend that stands in is told of", async () => {
  const { standIn } = await stemma(["score", "--model", "base/final", "--text", "the cat"], { cwd: folder });
  if (process.env.STEMMA_BACKEND === "reference") expect(standIn).toMatch(/slower: STEMMA_BACKEND asks for it\n$/);
  else if (openNative().backend) expect(standIn).toBeUndefined();
  else expect(standIn).toMatch(/; run `.+` to build it\n$/);
});

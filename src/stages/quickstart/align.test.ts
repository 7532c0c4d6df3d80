import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openReference } from "../../backend/reference/index.ts";
import { writeModelFolder } from "../../checkpoint/model-folder.ts";
import { InterruptedError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { readVerses } from "../../data/recipes/verses.ts";
import { assistantContents } from "../../generate/assistant.ts";
import { families } from "../../models/index.ts";
import { Initializer } from "../../nn/parameters.ts";
import { trainByteLevelBpe } from "../../text/bpe-trainer.ts";
import { ChatEncoder } from "../../text/encode-chat.ts";
import { align } from "./align.ts";
import { standingLines } from "./compare.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-road-"));
afterAll(() => rmSync(root, { recursive: true }));

const road: Omit<Parameters<typeof align>[0], "output"> = {
  ...{ base: join(root, "base"), seed: 1, threads: 2, matmulPrecision: "float32", scale: 0.01 },
  ...{ text: join(root, "text.txt"), heldOutText: join(root, "text.txt") },
};

test("the whole road, a hundredth of its length, from a model that knows nothing", async () => {
  const text = readVerses()
    .slice(0, 400)
    .map((verse) => verse.text)
    .join("\n");
  const tokenizer = trainByteLevelBpe([text], { vocabularySize: 400 }).withSpecialTokens(["<|endoftext|>"]);
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 256, width: 16, layers: 1, heads: 2, dropout: 0 };
  const model = families.gpt2.create(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
  const encoder = new ChatEncoder(tokenizer, null);
  await writeModelFolder(join(root, "base"), assistantContents({ model, family: families.gpt2, encoder }));
  writeFileSync(join(root, "text.txt"), text);
  const stages: string[] = [];
  const { standings, prompts, models } = await align({
    ...{ ...road, output: join(root, "run") },
    watch: (stage) => ({ started: () => void stages.push(stage) }),
  });
  expect(stages).toEqual(["sft", "reward", "ppo", "dpo"]);
  expect(standings.map(({ name }) => name)).toEqual(Object.keys(models));
  expect(standings.map(({ kl }) => kl === null)).toEqual([true, false, false, false]);
  expect(standings[1]?.kl).toBeCloseTo(0, 5);
  for (const own of standings) {
    expect(own.textLoss).toBeLessThan(8);
    expect(own.wellFormed).toBeGreaterThanOrEqual(0);
    expect(own.kindnessError).toBeGreaterThanOrEqual(0);
  }
  const lines = standingLines(standings, prompts);
  expect(lines).toHaveLength(5 + 3 * 6);
  expect(lines.join("\n")).not.toMatch(/NaN|undefined/);
}, 60_000);

test("what lies between the stages hears a signal, keeps nothing of it, and says that it can go on", async () => {
  const output = join(root, "stopped");
  const stop = new AbortController();
  const timer = setInterval(() => existsSync(join(output, "sft/final")) && stop.abort(), 5);
  const stopped = align({ ...road, output, watch: (stage) => (stage === "compare" ? { signal: stop.signal } : {}) });
  await expect(stopped.finally(() => clearInterval(timer))).rejects.toThrow(
    new InterruptedError("quickstart: stopped while answers were judged, all stages before are saved; go on with it"),
  );
  expect(existsSync(join(output, "rankings.jsonl"))).toBe(false);
}, 60_000);

/**
 * Our side of the evaluation benchmark: lines such as `{"task": "wordnet-topic", "shots": 4, "sharePrefix": true,
 * "batchTokens": 8192, "questions": 40, "threads": 1}` are answered with `{"seconds": …, "logProbs": […]}`.
 */
import { openBackend } from "../src/backend/index.ts";
import { Random } from "../src/core/random.ts";
import { readVerses } from "../src/data/recipes/verses.ts";
import { ModelScorer } from "../src/eval/model-scorer.ts";
import { openTask } from "../src/eval/task-file.ts";
import type { Prompt } from "../src/eval/task-prompts.ts";
import { taskPrompts } from "../src/eval/task-prompts.ts";
import { gpt2 } from "../src/models/gpt-families.ts";
import { Initializer } from "../src/nn/parameters.ts";
import { trainByteLevelBpe } from "../src/text/bpe-trainer.ts";
import { answerLines } from "./peers/answer-lines.ts";
import { shapes } from "./shapes.ts";

/** What is asked, and how. */
export interface EvaluationCommand {
  readonly task: string;
  readonly shots: number;
  readonly sharePrefix: boolean;
  readonly batchTokens: number;
  readonly questions: number;
  readonly threads: number;
}

const endOfText = "<|endoftext|>";
const { vocabulary, layers, heads, width } = shapes.M;
const texts = readVerses().map(({ text }) => text);
const tokenizer = trainByteLevelBpe(texts, { vocabularySize: vocabulary - 1 }).withSpecialTokens([endOfText], {
  eos: endOfText,
});
const prompts = new Map<string, Prompt[]>();
let loaded: { threads: number; model: ReturnType<typeof gpt2.create> } | null = null;

await answerLines<EvaluationCommand>(async ({ task, shots, sharePrefix, batchTokens, questions, threads }) => {
  if (loaded?.threads !== threads) loaded = { threads, model: await newModel(threads) };
  const asked = await promptsOf(task, shots, questions);
  const scorer = new ModelScorer(loaded.model, tokenizer, { name: "", batchTokens, sharePrefix, seed: 1 });
  await scorer.likelihoods(asked.slice(0, 2), () => {});
  const start = performance.now();
  const answers = await scorer.likelihoods(asked, () => {});
  const seconds = (performance.now() - start) / 1000;
  return { seconds, logProbs: answers.flat().map(({ logProb }) => logProb) };
});

async function promptsOf(task: string, shots: number, limit: number): Promise<Prompt[]> {
  const key = JSON.stringify([task, shots, limit]);
  const known =
    prompts.get(key) ?? (await taskPrompts(await openTask(task), { shots, limit, seed: 1, dataFolder: "" }));
  prompts.set(key, known);
  return known;
}

/** A GPT-2 of shape M with random weights that reads longer texts. */
async function newModel(threads: number): Promise<ReturnType<typeof gpt2.create>> {
  const backend = await openBackend({ name: "native", threads, matmulPrecision: "float32" });
  const sizes = { layers, heads, width, vocabularySize: tokenizer.vocabularySize, context: 1024, dropout: 0 };
  return gpt2.create(gpt2.shaped(sizes), new Initializer(backend, new Random(1)));
}

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../src/index.ts";
import {
  finetune,
  loadModel,
  loadTokenizer,
  ModelScorer,
  openTask,
  pretrain,
  recipes,
  runStage,
  runTask,
  taskPrompts,
  writeCorpus,
} from "../../src/index.ts";

/** What is the same for all sizes. */
export interface Terms {
  /** Folder of everything. */
  readonly output: string;
  /** Name of a task that is both asked and taught. */
  readonly task: string;
  /** Steps of pretraining, and of fine-tuning. */
  readonly steps: number;
  readonly teach: number;
  /** Examples before each question. */
  readonly shots: readonly number[];
  /** Questions; 0 is all. */
  readonly questions: number;
  readonly threads: number;
}

/** Layers, as many heads, and the width. */
export type Size = readonly [layers: number, width: number];

/** Answers with so many examples before each question. */
export interface Asked {
  readonly shots: number;
  readonly accuracy: number;
  readonly error: number;
  readonly seconds: number;
}

const common = { seed: 1, matmulPrecision: "bfloat16", schedule: "cosine", warmupSteps: 20 };

/** Pretrains a model of a size on the King James Bible, unless one of as many steps is there; its folder. */
export async function pretrained([layers, width]: Size, { output, steps, threads }: Terms): Promise<string> {
  const folder = join(output, `base-${layers}x${width}-${steps}`);
  if (existsSync(join(folder, "final"))) return join(folder, "final");
  rmSync(folder, { recursive: true, force: true }); // a beginning that was stopped
  const corpus = await writeCorpus(join(output, "data"));
  const shape = { model: "gpt2", tokenizer: "bpe-2048", layers, heads: layers, width, context: 256 };
  const data = { data: [corpus.text], validation: [corpus.heldOutText], output: folder, steps, threads };
  const given = { ...common, ...shape, ...data, batchSize: 16, learningRate: 2e-3 };
  await runStage(pretrain, pretrain.settings.parse(given));
  return join(folder, "final");
}

/**
 * Asks a model, with each number of examples. The answer that the question makes likelier than it was counts: by
 * likelihood alone the commonest word would always win.
 */
export async function ask(
  folder: string,
  { task: name, shots, questions, output }: Terms,
  backend: Backend,
): Promise<Asked[]> {
  const { model } = await loadModel(folder, backend);
  const scorer = new ModelScorer(model, await loadTokenizer(folder), { name: folder, batchTokens: 8192, seed: 1 });
  const task = await openTask(name);
  const asked: Asked[] = [];
  for (const count of shots) {
    const prompts = await taskPrompts(task, { shots: count, limit: questions, seed: 1, dataFolder: output });
    const { metrics, seconds } = await runTask(task, count, prompts, scorer, () => {});
    const { value = Number.NaN, error = Number.NaN } =
      metrics.find((metric) => metric.name === "acc_mutual_info") ?? {};
    asked.push({ shots: count, accuracy: value, error, seconds });
  }
  return asked;
}

/** Teaches a model the task anew; what it gets right of the same questions, and how long that took. */
export async function teach(
  model: string,
  [layers, width]: Size,
  { output, task: name, teach: steps, questions, threads }: Terms,
): Promise<{ accuracy: number; seconds: number }> {
  const start = performance.now();
  const recipe = recipes.find((candidate) => candidate.name === name);
  if (!recipe) throw new Error(`in-context: stemma data makes no ${name}`);
  const { train, test } = recipe.make();
  const write = (part: string, rows: readonly object[]): string => {
    const path = join(output, "data", `${name}-${part}.jsonl`);
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return path;
  };
  const data = { data: [write("train", train)], validation: [write("test", test.slice(0, questions || undefined))] };
  const folder = join(output, `taught-${layers}x${width}`);
  rmSync(folder, { recursive: true, force: true });
  const given = {
    ...common,
    ...data,
    model,
    task: recipe.task,
    batchSize: 16,
    output: folder,
    steps,
    threads,
    learningRate: 5e-4,
  };
  const { metrics } = await runStage(finetune, finetune.settings.parse(given));
  return { accuracy: metrics.eval_accuracy ?? Number.NaN, seconds: (performance.now() - start) / 1000 };
}

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StageRun } from "../../src/index.ts";
import { pretrain, runStage } from "../../src/index.ts";
import type { Contestant } from "./contestants.ts";

/** What is the same for all. */
export interface Terms {
  readonly data: string[];
  readonly validation: string[];
  readonly output: string;
  readonly seed: number;
  readonly threads: number;
  readonly matmulPrecision: "float32" | "bfloat16";
}

/** One evaluation while a model learned. */
export interface Moment {
  readonly tokens: number;
  readonly seconds: number;
  readonly operations: number;
  /** The contestant's own loss. */
  readonly loss: number;
}

/** What became of a model. */
export interface Trained {
  /** Folder of the model. */
  readonly folder: string;
  readonly steps: number;
  /** Time of the training steps alone. */
  readonly seconds: number;
  readonly tokens: number;
  readonly operations: number;
  readonly curve: readonly Moment[];
}

/** What a step costs. */
interface Cost {
  readonly tokens: number;
  readonly operations: number;
}

const evaluations = 12;
const shared = { tokenizer: "bpe-2048", context: 128, batchSize: 16, adamBeta2: 0.99, finalLearningRateShare: 0.1 };

/** Operations of one step of a contestant, by making one. */
export async function stepCost(contestant: Contestant, terms: Terms): Promise<Cost> {
  const output = join(terms.output, "one-step");
  const { curve } = await run(contestant, { ...terms, output }, 1);
  rmSync(output, { recursive: true });
  const { tokens = 0, operations = 0 } = curve.at(-1) ?? {};
  return { tokens, operations };
}

/** Trains a contestant for so many operations, in place of what an earlier run left in its folder. */
export async function compete(contestant: Contestant, terms: Terms, operations: number): Promise<Trained> {
  const cost = await stepCost(contestant, terms);
  return run(contestant, terms, Math.max(1, Math.round(operations / cost.operations)));
}

async function run({ settings, ownMetric }: Contestant, terms: Terms, steps: number): Promise<Trained> {
  rmSync(terms.output, { recursive: true, force: true });
  mkdirSync(terms.output, { recursive: true });
  const curve: Moment[] = [];
  let [tokens, seconds, operationsPerToken] = [0, 0, 0];
  let untimed = 0; // tokens of steps before the pace is known: the first
  const parsed = pretrain.settings.parse({
    ...{ ...shared, ...terms, ...settings, steps, sampleTokens: 1 },
    ...{ warmupSteps: Math.min(100, Math.ceil(steps / 10)), evaluateEvery: Math.ceil(steps / evaluations) },
    ...(steps === 1 ? { evaluationTokens: 1 } : {}),
  });
  const result = await runStage(pretrain, parsed, {
    started: (stage: StageRun) => {
      operationsPerToken = stage.operationsPerToken ?? 0;
    },
    logged(_, metrics) {
      if (metrics.tokens !== undefined) {
        tokens += metrics.tokens;
        untimed += metrics.tokens;
      }
      if (metrics.tokens_per_second !== undefined) {
        seconds += untimed / metrics.tokens_per_second;
        untimed = 0;
      }
      const loss = metrics[ownMetric];
      if (loss !== undefined) curve.push({ tokens, seconds, operations: tokens * operationsPerToken, loss });
    },
  });
  if (result.model === null) throw new Error("the run was stopped");
  return { folder: result.model, steps, seconds, tokens, operations: tokens * operationsPerToken, curve };
}

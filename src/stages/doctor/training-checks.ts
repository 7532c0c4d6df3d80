import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Backend } from "../../backend/kernels.ts";
import { openNative } from "../../backend/native/index.ts";
import { openReference } from "../../backend/reference/index.ts";
import { NumericalError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { gpt2 } from "../../models/gpt-families.ts";
import { Initializer, parameters } from "../../nn/parameters.ts";
import { AdamW } from "../../optim/adamw.ts";
import { largestGap } from "../../tensor/check-op.ts";
import { nextTokenLoss } from "../../train/objectives/next-token.ts";
import { optimizerStep } from "../../train/optimizer-step.ts";
import { pretrain } from "../pretrain/index.ts";
import { runStage } from "../run-stage.ts";
import type { Check, DoctorEnvironment } from "./check.ts";
import { withoutNative } from "./machine-checks.ts";

/** Large enough for every kernel to divide its work among threads. */
const shape = { vocabularySize: 300, context: 64, width: 64, layers: 2, heads: 4, dropout: 0.1 };
const batch = 4;

/** A small GPT-2 trained by the native backend and by the reference, dropout, clipping and AdamW included. */
export const trainingCheck: Check = {
  name: "training",
  async run({ threads }) {
    const { backend } = openNative({ threads });
    if (backend === null) return withoutNative;
    const [native, reference] = [await trained(backend, 3), await trained(openReference(), 3)];
    const gap = largestGap([native.losses], [reference.losses]);
    if (!(gap < 1e-4)) {
      throw new NumericalError(
        `losses are ${native.losses.join(", ")} where the reference has ${reference.losses.join(", ")}`,
      );
    }
    return `losses of 3 steps ${gap === 0 ? "equal to" : `at most ${gap.toExponential(0)} off`} the reference's`;
  },
};

/** The same training on one thread and on several. */
export const threadCheck: Check = {
  name: "threads",
  async run({ threads }) {
    const counts = [...new Set([2, 3, threads])].filter((count) => count > 1);
    const [one, ...others] = [1, ...counts].map((count) => openNative({ threads: count }).backend);
    if (!one) return withoutNative;
    const expected = await trained(one, 3);
    for (const [i, backend] of others.entries()) {
      if (backend && (await trained(backend, 3)).weights.equals(expected.weights)) continue;
      throw new NumericalError(`after 3 steps, ${counts[i]} threads have other weights than one`);
    }
    return `1, ${counts.join(" and ")} threads end with the same bits`;
  },
};

/** A run that is stopped half-way and resumed, against one that was never stopped. */
export const resumeCheck: Check = {
  name: "resuming",
  async run({ folder, threads }) {
    const data = join(folder, "corpus.txt");
    await writeFile(data, "In the beginning was the Word, and the Word was with the reader.\n".repeat(30));
    const [whole, stopped] = [join(folder, "whole"), join(folder, "stopped")];
    await pretrainTiny(data, whole, threads, {});
    const halt = new AbortController();
    const outcome = await pretrainTiny(data, stopped, threads, { haltAt: 3, halt });
    if (!outcome.interrupted) throw new NumericalError("a run could not be stopped after step 3 of 6");
    await pretrainTiny(data, stopped, threads, { resume: true });
    for (const file of ["final/model.safetensors", "checkpoint-6/optimizer.safetensors"]) {
      const [expected, actual] = [await readFile(join(whole, file)), await readFile(join(stopped, file))];
      if (!actual.equals(expected)) {
        throw new NumericalError(
          `${file} of a run stopped after 3 steps and resumed differs from an uninterrupted one's`,
        );
      }
    }
    return "3 steps and 3 more end with the same bits as 6";
  },
};

interface Interruption {
  readonly resume?: boolean;
  readonly haltAt?: number;
  readonly halt?: AbortController;
}

function pretrainTiny(
  data: string,
  output: string,
  threads: DoctorEnvironment["threads"],
  { resume = false, haltAt, halt }: Interruption,
): ReturnType<typeof runStage> {
  const sizes = { layers: 2, heads: 2, width: 32, context: 32, dropout: 0.1, batchSize: 4 };
  const settings = pretrain.settings.parse({
    ...{ ...sizes, data: [data], output, resume, threads, tokenizer: "characters", steps: 6, warmupSteps: 2 },
    ...{ sampleTokens: 4 },
  });
  const logged = (step: number): void => {
    if (step === haltAt) halt?.abort();
  };
  return runStage(pretrain, settings, { logged, ...(halt ? { signal: halt.signal } : {}) });
}

/** Losses of some steps on one batch of random tokens, and all weights after them. */
async function trained(backend: Backend, steps: number): Promise<{ losses: Float64Array; weights: Buffer }> {
  const model = gpt2.create(gpt2.shaped(shape), new Initializer(backend, new Random(1)));
  const reader = new Random(2).reader();
  const draw = (): Int32Array =>
    Int32Array.from({ length: batch * shape.context }, () => reader.integer(shape.vocabularySize));
  const tokens = { inputs: draw(), targets: draw(), batch, time: shape.context };
  const run = {
    ...{ model, objective: nextTokenLoss, maxGradientNorm: 1, seed: 3, schedule: () => 1e-3 },
    batches: () => [{ batch: tokens, share: 1, tokens: tokens.inputs.length }],
    optimizer: new AdamW(parameters(model), { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }),
  };
  const losses = new Float64Array(steps);
  for (let step = 0; step < steps; step++) losses[step] = (await optimizerStep(run, step)).loss ?? Number.NaN;
  const values = await Promise.all([...parameters(model).values()].map((parameter) => parameter.read()));
  const bytes = values.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));
  return { losses, weights: Buffer.concat(bytes) };
}

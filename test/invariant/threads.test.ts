import { describe, expect, test } from "vitest";
import type { NativeOptions } from "../../src/backend/native/index.ts";
import { nativeInstructionSets, openNative } from "../../src/backend/native/index.ts";
import { Random } from "../../src/core/random.ts";
import { families } from "../../src/models/index.ts";
import { Initializer, parameters } from "../../src/nn/parameters.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import type { PredictionBatch } from "../../src/train/objectives/next-token.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { optimizerStep } from "../../src/train/optimizer-step.ts";
import { expectClose } from "../closeness.ts";

const shape = { vocabularySize: 300, context: 40, width: 96, layers: 2, heads: 3, dropout: 0.1 };
const [batch, time] = [5, shape.context];

function tokens(): PredictionBatch {
  const reader = new Random(2).reader();
  const draw = (): Int32Array => Int32Array.from({ length: batch * time }, () => reader.integer(shape.vocabularySize));
  return { inputs: draw(), targets: draw(), batch, time };
}

/** Every weight after three steps with dropout, as bytes, and what was logged. */
async function trained(name: "gpt2" | "llama", options: NativeOptions): Promise<{ bytes: Buffer; losses: number[] }> {
  const { backend } = openNative(options);
  if (!backend) throw new Error("the native backend is not built");
  const family = families[name];
  const model = family.create(family.shaped(shape) as never, new Initializer(backend, new Random(1)));
  const constants = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, scaleByParameter: name === "llama" };
  const update = {
    ...{ model, optimizer: new AdamW(parameters(model), constants), objective: nextTokenLoss },
    ...{ maxGradientNorm: 1, seed: 1, schedule: () => 1e-2 },
    batches: () => [{ batch: tokens(), share: 1, tokens: batch * time }],
  };
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) losses.push((await optimizerStep(update, step)).loss ?? Number.NaN);
  const weights = await Promise.all([...parameters(model).values()].map((parameter) => parameter.read()));
  return { bytes: Buffer.concat(weights.map((values) => Buffer.from(Float32Array.from(values).buffer))), losses };
}

describe.each(["gpt2", "llama"] as const)("%s", (name) => {
  test.each(["float32", "bfloat16"] as const)(
    "learns the same bits on any number of threads, in %s",
    async (precision) => {
      const one = await trained(name, { threads: 1, matmulPrecision: precision });
      expect(one.losses[2]).toBeLessThan(one.losses[0]!);
      for (const threads of [2, 3, 7]) {
        const other = await trained(name, { threads, matmulPrecision: precision });
        expect(other.losses).toEqual(one.losses);
        expect(other.bytes.equals(one.bytes)).toBe(true);
      }
    },
  );

  test.each(nativeInstructionSets())("learns alike on %s and on the best", async (instructionSet) => {
    const [best, other] = [await trained(name, {}), await trained(name, { instructionSet })];
    expectClose(other.losses, best.losses, { absolute: 1e-3, relative: 0 });
  });
});

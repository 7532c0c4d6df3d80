import { z } from "zod";
import type { Backend } from "../../backend/kernels.ts";
import { turnEventLoop } from "../../core/event-loop.ts";
import { families } from "../../models/index.ts";
import { planStep, timeStep } from "../plan/plan-memory.ts";
import { plannedModel } from "../plan/plan-models.ts";
import { plainRun } from "../plan/prepared-step.ts";

/** How large the quickstart's model is and how far it goes, written down so that it goes on in the same way. */
export const QuickstartSize = z.object({
  layers: z.int().positive(),
  heads: z.int().positive(),
  width: z.int().positive(),
  /** Share of the whole road's steps and rows: 1 is all of it. */
  scale: z.number().gt(0).max(1),
  matmulPrecision: z.enum(["float32", "bfloat16"]),
});
/** {@link QuickstartSize}, checked. */
export type QuickstartSize = z.output<typeof QuickstartSize>;

/** What the quickstart can be, largest first. */
const shapes = [
  { layers: 6, heads: 6, width: 192 },
  { layers: 4, heads: 4, width: 128 },
  { layers: 3, heads: 2, width: 64 },
  { layers: 2, heads: 2, width: 32 },
] satisfies QuickstartShape[];

/** Sizes of the model. */
type QuickstartShape = Pick<QuickstartSize, "layers" | "heads" | "width">;

/** Sizes that every quickstart has. */
export const quickstartRun = { vocabularySize: 2048, context: 128, batchSize: 16 } as const;

/** Updates of the pretrained model on the whole road. */
export const wholeSteps = 1200;

/**
 * The road's time in that of its pretraining steps: theirs, and what evaluating, teaching, sampling, ranking, rewarding,
 * PPO, DPO and comparing come to, which is about as much again.
 */
const stepsOfRoad = { base: 1280, whole: 2350 } as const;

/** Seconds that do not depend on the model: learning the tokenizer, reading and writing. */
const fixedSeconds = 20;

/** A smaller model that goes further learns more than one that goes less than this share of the way. */
const fairScale = 0.6;

/** Below this nothing is learned that the next stage could go on from. */
const leastScale = 0.02;

/** Above this the road is gone whole. */
const almostWhole = 0.9;

/** How much faster products must be for their rounding to be worth it. */
const worthRounding = 1.2;

/** Times that a machine's speed is asked for: something else may be going on in one of them. */
const peakTrials = 5;

/** Seconds of a step that is not made only to be timed. */
const longStep = 1;

/** What a choice is made by; the second function tells how many times the operations of one shape another's are. */
export interface Choosing {
  /** How long the whole road may take. */
  readonly minutes: number;
  readonly secondsPerStep: (shape: QuickstartShape) => Promise<number>;
  readonly operations: (shape: QuickstartShape) => Promise<number>;
}

/** A shape, the share of the road, and what was expected of it. */
export interface Choice extends QuickstartShape {
  readonly scale: number;
  readonly secondsPerStep: number;
}

/**
 * The largest model that goes at least {@link fairScale} of the road in the time there is, by making steps of each size
 * from the smallest on, as long as what the last one took promises that the next will do.
 */
export async function chooseSize({ minutes, secondsPerStep, operations }: Choosing): Promise<Choice> {
  const seconds = Math.max(60 * minutes - fixedSeconds, 10);
  const scaleOf = (perStep: number): number => {
    const scale = seconds / (stepsOfRoad.whole * perStep);
    return scale > almostWhole ? 1 : Math.max(scale, leastScale);
  };
  let chosen: Choice | null = null;
  let rate = 0;
  for (const shape of shapes.toReversed()) {
    const needed = await operations(shape);
    // Larger products reach more of the machine's speed than smaller ones, so that this promises too little.
    if (chosen && scaleOf(needed / (2 * rate)) < fairScale) break;
    const perStep = await secondsPerStep(shape);
    rate = needed / perStep;
    if (chosen && scaleOf(perStep) < fairScale) break;
    chosen = { ...shape, scale: scaleOf(perStep), secondsPerStep: perStep };
  }
  if (chosen === null) throw new Error("internal: the quickstart has no shapes");
  return chosen;
}

/** Seconds that a road is expected to take. */
export function roadSeconds(
  { scale }: Pick<Choice, "scale">,
  secondsPerStep: number,
  road: keyof typeof stepsOfRoad,
): number {
  return fixedSeconds + stepsOfRoad[road] * scale * secondsPerStep;
}

/**
 * Whether matrix products of one backend are clearly faster than another's, by measuring: a processor that multiplies
 * bfloat16 by itself need not do so faster than it multiplies float32.
 */
export function isFaster(backend: Pick<Backend, "peak">, other: Pick<Backend, "peak">): boolean {
  return bestPeak(backend) > worthRounding * bestPeak(other);
}

/** The most of several measurements; 0 where nobody can measure. */
function bestPeak({ peak }: Pick<Backend, "peak">): number {
  return peak ? Math.max(...Array.from({ length: peakTrials }, () => peak())) : 0;
}

/** How {@link chooseSize} measures on a backend; before each measurement it hears that `signal` is aborted. */
export function measuredOn(backend: Backend, signal?: AbortSignal): Pick<Choosing, "secondsPerStep" | "operations"> {
  const { vocabularySize, context, batchSize } = quickstartRun;
  const family = families.gpt2;
  const modelOf = (shape: QuickstartShape) =>
    plannedModel("gpt2", family, family.shaped({ ...shape, vocabularySize, context, dropout: 0 }));
  const run = plainRun("pretrain", batchSize, context);
  return {
    async secondsPerStep(shape) {
      await turnEventLoop();
      signal?.throwIfAborted();
      // Where a whole step would be long to wait for, a part of it says enough.
      const part = await timeStep(backend, modelOf(shape), { ...run, batchSize: batchSize / 8 });
      return 8 * part > longStep ? 8 * part : timeStep(backend, modelOf(shape), run);
    },
    operations: async (shape) => (await planStep(modelOf(shape), run)).operations,
  };
}

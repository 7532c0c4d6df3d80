import { z } from "zod";
import { weightSettings } from "../models/weight-choice.ts";

/** How a run trains adapters instead of a model's matrices, to spread into a stage's schema. */
export const adapterSettings = {
  loraRank: z
    .int()
    .nonnegative()
    .default(0)
    .describe("train low-rank changes of the matrices instead of the matrices; 0 is off")
    .meta({ aliases: ["lora_r"], group: "Adapters" }),
  loraAlpha: z.number().positive().max(1e6).default(16).describe("the changes count alpha / rank times").meta({
    group: "Adapters",
  }),
  loraTargets: z.enum(["attention", "all"]).default("attention").describe("matrices that have such changes").meta({
    group: "Adapters",
  }),
  loraDropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("share of the inputs of the changes dropped in training")
    .meta({ group: "Adapters" }),
  weights: weightSettings.weights
    .describe(
      "how the matrices beneath the changes lie in memory, which stay as they are (default: as the file has them)",
    )
    .meta({ group: "Adapters" }),
} as const;

/** The same for stages that compare log-probabilities or rewards with others, where nothing is dropped. */
export const { loraDropout: _, ...adapterSettingsWithoutDropout } = adapterSettings;

/** Adapters learn at ten times the rate of whole matrices: a rate of 1e-4 becomes 1e-3. */
const adapterRateFactor = 10;

/**
 * `--learning-rate` of a stage that trains whole matrices of a pretrained model at the rate `usual`, or adapters at ten times
 * that. `pretrain` and `seq2seq` do not have it: their defaults are for new models, and large enough for adapters as they
 * are. Nor have `grpo` and `ppo`, of which none was measured: their rate bounds how far a policy goes from the one that
 * wrote its answers.
 */
export function learningRateSetting(usual: number): z.ZodOptional<z.ZodNumber> {
  return z
    .number()
    .positive()
    .optional()
    .describe(`highest step size of AdamW (default: ${usual}; with --lora-rank ${rateOf({ loraRank: 1 }, usual)})`)
    .meta({ aliases: ["lr"], group: "Training" });
}

/**
 * The learning rate that settings of {@link learningRateSetting} come to.
 *
 * @see Schulman & Thinking Machines Lab (2025), "LoRA without regret", https://thinkingmachines.ai/blog/lora: the best rate
 * of adapters is some ten times that of training whole.
 */
export function rateOf(
  { learningRate, loraRank }: { readonly learningRate?: number | undefined; readonly loraRank: number },
  usual: number,
): number {
  return learningRate ?? (loraRank > 0 ? Number((adapterRateFactor * usual).toPrecision(3)) : usual);
}

/** Adapters that are added to a model when it is opened, to spread into the schema of whatever opens one. */
export const addedAdapterSettings = {
  adapter: z
    .array(z.string().min(1))
    .default([])
    .describe("adapter folder in PEFT's layout, added to the model; repeat for several, FOLDER=0.5 adds half of one")
    .meta({ placeholder: "folder", isPath: true, group: "Adapters" }),
} as const;

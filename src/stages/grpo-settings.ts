import { z } from "zod";
import { iterationSettings } from "./iteration-settings.ts";

/** Settings of the stage `grpo`. Names and defaults are TRL's where it has them; its spellings are accepted as well. */
export const GrpoStageSettings = z.object({
  model: z.string().describe("model to start from").meta({ placeholder: "folder", isPath: true }),
  reference: z
    .string()
    .nullable()
    .default(null)
    .describe("model to stay near to, where --beta is not 0; default: the one to start from")
    .meta({ aliases: ["ref_model"], placeholder: "folder", isPath: true }),
  ...iterationSettings,
  reward: z
    .array(z.string())
    .default([])
    .describe(
      "judges, whose rewards are added: exact (the column answer), a JavaScript module that exports (prompt, completion, " +
        "row) => number, or a reward model's folder",
    )
    .meta({
      aliases: ["reward_funcs", "reward_model_path"],
      placeholder: "exact|path",
      isPath: { unless: "^exact$" },
      group: "Reward",
    }),
  rewardPattern: z
    .string()
    .nullable()
    .default(null)
    .describe("one judge more: 1 for an answer that this regular expression matches, else 0")
    .meta({ placeholder: "regex", group: "Reward" }),
  rewardSchema: z
    .string()
    .nullable()
    .default(null)
    .describe("one judge more: 1 for an answer that is JSON as the JSON schema in this file says, else 0")
    .meta({ placeholder: "file", isPath: true, group: "Reward" }),
  rewardWeights: z
    .array(z.number())
    .default([])
    .describe("weights of the judges: those of --reward in order, the pattern's, the schema's; default: 1 each")
    .meta({ group: "Reward" }),
  answerPattern: z
    .string()
    .nullable()
    .default(null)
    .describe("what of an answer exact compares: the last match, its first group if it has one; default: all of it")
    .meta({ placeholder: "regex", group: "Reward" }),
  answers: iterationSettings.answers
    .describe("answers sampled in an iteration, a multiple of --generations")
    .meta({ aliases: ["generation_batch_size"] }),
  generations: z
    .int()
    .min(2)
    .default(8)
    .describe("answers to each prompt, which are compared with each other")
    .meta({ aliases: ["num_generations"], group: "Training" }),
  passes: z
    .int()
    .positive()
    .max(10_000)
    .default(1)
    .describe("passes over the answers of an iteration")
    .meta({ aliases: ["num_iterations"], group: "Training" }),
  miniBatches: iterationSettings.miniBatches.meta({ aliases: ["steps_per_generation"] }),
  learningRate: iterationSettings.learningRate.default(1e-6),
  maxNewTokens: iterationSettings.maxNewTokens.meta({ aliases: ["max_completion_length"] }),
  lossType: z
    .enum(["grpo", "bnpo", "dr_grpo", "dapo"])
    .default("dapo")
    .describe(
      "mean over answers of means over tokens; over the tokens of a batch; by the longest length; over all tokens",
    )
    .meta({ aliases: ["loss"], group: "GRPO" }),
  scaleRewards: z
    .enum(["group", "batch", "none"])
    .default("group")
    .describe("by whose standard deviation advantages are divided")
    .meta({ group: "GRPO" }),
  epsilon: z
    .number()
    .positive()
    .lt(1)
    .default(0.2)
    .describe("how far the ratio of probabilities may fall below 1")
    .meta({ group: "GRPO" }),
  epsilonHigh: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("how far it may rise above 1; default: as far as it may fall; DAPO: 0.28")
    .meta({ group: "GRPO" }),
  beta: z
    .number()
    .nonnegative()
    .default(0)
    .describe("price of a nat of divergence from the reference; 0 opens none")
    .meta({ group: "GRPO" }),
  maskTruncated: z
    .boolean()
    .default(false)
    .describe("learn nothing from answers that do not end within --max-new-tokens")
    .meta({ aliases: ["mask_truncated_completions"], group: "GRPO" }),
});
export type GrpoStageSettings = z.output<typeof GrpoStageSettings>;

import { z } from "zod";
import { iterationSettings } from "./iteration-settings.ts";

/** Settings of the stage `ppo`. Names and defaults are TRL's where it has them; its spellings are accepted as well. */
export const PpoStageSettings = z.object({
  model: z
    .string()
    .describe("SFT model to start from")
    .meta({ aliases: ["sft_model_path"], placeholder: "folder", isPath: true }),
  reference: z
    .string()
    .nullable()
    .default(null)
    .describe("model to stay near to; default: the one to start from")
    .meta({ placeholder: "folder", isPath: true }),
  reward: z
    .string()
    .describe("reward model, from stemma reward")
    .meta({ aliases: ["reward_model_path"], placeholder: "folder", isPath: true }),
  critic: z
    .string()
    .nullable()
    .default(null)
    .describe("model the critic starts from; default: the reward model")
    .meta({ placeholder: "folder", isPath: true }),
  ...iterationSettings,
  batchSize: iterationSettings.batchSize.meta({
    aliases: ["per_device_train_batch_size", "local_rollout_forward_batch_size"],
  }),
  ppoEpochs: z
    .int()
    .positive()
    .max(10_000)
    .default(4)
    .describe("passes over the answers of an iteration")
    .meta({ aliases: ["num_ppo_epochs"], group: "Training" }),
  miniBatches: iterationSettings.miniBatches.meta({ aliases: ["num_mini_batches"] }),
  learningRate: iterationSettings.learningRate.default(3e-6),
  criticLearningRate: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("highest step size of the critic's AdamW; default: the actor's")
    .meta({ group: "Training" }),
  maxNewTokens: iterationSettings.maxNewTokens.default(53).meta({ aliases: ["response_length"] }),
  temperature: iterationSettings.temperature.default(0.7),
  missingEndPenalty: z
    .number()
    .nonnegative()
    .default(1)
    .describe("taken from the score of an answer that does not end")
    .meta({ aliases: ["missing_eos_penalty"], group: "Reward" }),
  rewardClip: z.number().nonnegative().default(0).describe("scores are cut to ± this; 0 is off").meta({
    group: "Reward",
  }),
  klCoefficient: z
    .number()
    .nonnegative()
    .default(0.05)
    .describe("price of a nat of divergence from the reference")
    .meta({ aliases: ["kl_coef"], group: "Reward" }),
  klEstimator: z
    .enum(["k1", "k2", "k3"])
    .default("k1")
    .describe("estimate of the divergence")
    .meta({ group: "Reward" }),
  klTarget: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("KL of an answer, in nats, that the coefficient is steered to; default: it is fixed")
    .meta({ group: "Reward" }),
  klHorizon: z
    .int()
    .positive()
    .default(10_000)
    .describe("answers over which the coefficient may change by a fifth")
    .meta({ group: "Reward" }),
  klBudget: z
    .number()
    .positive()
    .default(10)
    .describe("KL of an answer, in nats, above which a warning is given")
    .meta({
      group: "Reward",
    }),
  klLimit: z.number().positive().default(100).describe("KL of an answer, in nats, at which the run stops").meta({
    group: "Reward",
  }),
  pretrainCoefficient: z
    .number()
    .nonnegative()
    .default(0)
    .describe("weight of the loss on pretraining text; 0 is off")
    .meta({ group: "Pretraining" }),
  pretrainData: z
    .array(z.string())
    .default([])
    .describe("text of the pretraining term: files, folders, globs")
    .meta({ placeholder: "path", isData: true, group: "Pretraining" }),
  policyClip: z
    .number()
    .positive()
    .default(0.2)
    .describe("how far the ratio of probabilities may go from 1")
    .meta({ aliases: ["cliprange"], group: "PPO" }),
  valueClip: z
    .number()
    .positive()
    .default(0.2)
    .describe("how far a value may go from the old one")
    .meta({ aliases: ["cliprange_value"], group: "PPO" }),
  gamma: z.number().min(0).max(1).default(1).describe("discount of a reward one token later").meta({ group: "PPO" }),
  lambda: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe("between the critic's word (0) and the rewards that came (1)")
    .meta({ aliases: ["lam"], group: "PPO" }),
  whitenRewards: z.boolean().default(false).describe("scale rewards to variance 1").meta({ group: "PPO" }),
  whitenAdvantages: z
    .boolean()
    .default(true)
    .describe("scale advantages to mean 0 and variance 1")
    .meta({ group: "PPO" }),
});
export type PpoStageSettings = z.output<typeof PpoStageSettings>;

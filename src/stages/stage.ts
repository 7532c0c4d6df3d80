import { z } from "zod";
import { machineSettings } from "../backend/machine-settings.ts";
import { scheduleShapes } from "../optim/schedule.ts";
import type { Metrics, Outcome } from "../train/run.ts";
import type { RunFolder } from "../train/run-folder.ts";

/**
 * Settings that every stage has, to spread into its schema: where the run lives, and whether it goes on from there.
 */
export const runSettings = {
  output: z
    .string()
    .min(1)
    .describe("folder of the run: checkpoints, logs, final model")
    .meta({
      aliases: ["output_dir"],
      placeholder: "folder",
      isPath: true,
      group: "Run",
    }),
  resume: z
    .union([z.boolean(), z.string().min(1)])
    .default(false)
    .describe("go on from the newest checkpoint of the run, or from the one named, with the run's own settings")
    .meta({ aliases: ["resume_from_checkpoint"], placeholder: "checkpoint", group: "Run" }),
} as const;

/** Settings of a stage that trains with the loop of `train.ts`, to spread into its schema. A stage overrides defaults. */
export const trainingSettings = {
  steps: z
    .int()
    .nonnegative()
    .default(1000)
    .describe("updates of the weights in the whole run; 0 saves the model as it is")
    .meta({
      aliases: ["max_steps"],
      group: "Training",
    }),
  batchSize: z
    .int()
    .positive()
    .default(8)
    .describe("sequences that go through the model at once")
    .meta({
      aliases: ["per_device_train_batch_size", "train_batch_size"],
      group: "Training",
    }),
  accumulation: z
    .int()
    .positive()
    .max(100_000)
    .default(1)
    .describe("batches summed into one update")
    .meta({
      aliases: ["gradient_accumulation_steps"],
      group: "Training",
    }),
  learningRate: z
    .number()
    .positive()
    .default(5e-4)
    .describe("highest step size of AdamW")
    .meta({
      aliases: ["lr"],
      group: "Training",
    }),
  schedule: z
    .enum(scheduleShapes)
    .default("cosine")
    .describe("how the learning rate falls after warm-up")
    .meta({ aliases: ["lr_scheduler_type"], group: "Training" }),
  finalLearningRateShare: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("learning rate of the last step, as a share of the highest")
    .meta({ aliases: ["min_lr_rate"], group: "Training" }),
  warmupSteps: z.int().nonnegative().default(0).describe("steps over which the learning rate rises from 0").meta({
    group: "Training",
  }),
  weightDecay: z.number().nonnegative().default(0.1).describe("pull of the matrices to 0; 0 is off").meta({
    group: "Training",
  }),
  adamBeta2: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.999)
    .describe("memory of AdamW's second moment")
    .meta({ aliases: ["adam_beta2"], group: "Training" }),
  maxGradientNorm: z
    .number()
    .nonnegative()
    .default(1)
    .describe("longest gradient, clipped beyond; 0 is off")
    .meta({
      aliases: ["max_grad_norm"],
      group: "Training",
    }),
  recompute: z
    .boolean()
    .default(false)
    .describe("compute each block twice instead of keeping its activations: less memory, a quarter more time")
    .meta({ aliases: ["gradient_checkpointing"], group: "Machine" }),
  patience: z
    .int()
    .nonnegative()
    .default(0)
    .describe("evaluations without a better one after which the run ends, with the best model; 0 is off")
    .meta({ aliases: ["early_stopping_patience"], group: "Training" }),
  evaluateEvery: cadence("evaluations on held-out data", ["eval_steps"]),
  sampleEvery: cadence("samples of text", []),
  saveEvery: cadence("checkpoints", ["save_steps"]),
  saveMinutes: z
    .number()
    .nonnegative()
    .default(5)
    .describe("most minutes between checkpoints, beside --save-every; 0 is no limit")
    .meta({ group: "Run" }),
  saveTotalLimit: z.int().nonnegative().default(2).describe("newest checkpoints to keep; 0 keeps all").meta({
    group: "Run",
  }),
  seed: z.int().nonnegative().default(1).describe("number that every random choice follows from").meta({
    group: "Run",
  }),
  ...machineSettings,
} as const;

/** The same for stages that have no text to show while they train. */
export const { sampleEvery: _, ...trainingSettingsWithoutSamples } = trainingSettings;

/** Settings of a stage that goes over its data a few times, to spread over {@link trainingSettings}. */
export const epochSettings = {
  epochs: z.number().positive().default(1).describe("passes over the data, where --steps is not given").meta({
    group: "Training",
  }),
  steps: z
    .int()
    .nonnegative()
    .nullable()
    .default(null)
    .describe("updates of the weights in the whole run; 0 saves the model as it is; default: as many as --epochs takes")
    .meta({ aliases: ["max_steps"], group: "Training" }),
} as const;

function cadence(what: string, aliases: readonly string[]): z.ZodDefault<z.ZodInt> {
  return z.int().nonnegative().default(0).describe(`steps between ${what}; 0 is only at the end`).meta({
    aliases,
    group: "Run",
  });
}

/** A text that a model made while it was trained. */
export interface Sample {
  readonly prompt: string;
  readonly text: string;
  /** Whether the text is one of its own, rather than what comes after the prompt. */
  readonly isAnswer?: boolean;
}

/** What a stage gets besides its settings. Functions work when taken off it, too. */
export interface StageEnvironment {
  /** The run's folder, claimed for this process; `checkpoint` is what to go on from, or null. */
  readonly folder: RunFolder;
  /** Records metrics after `step` updates and shows them: the `log` of a {@link Run}. */
  readonly log: (step: number, metrics: Metrics) => void;
  /** Records a text the model made after `step` updates and shows it. */
  readonly sample: (step: number, sample: Sample) => void;
  /** Tells whoever watches something, such as what data was found, in one line. */
  readonly note: (line: string) => void;
  /** Ends the run: what takes long before the first step throws its reason. */
  readonly signal: AbortSignal;
}

/** A run that is ready to go. */
export interface StageRun {
  /** Updates in the whole run. */
  readonly steps: number;
  /** Updates made before, by the run that this one goes on from. */
  readonly firstStep: number;
  /** It measures a model and leaves none of its own. */
  readonly makesNoModel?: boolean;
  /** Arithmetic operations of a training step for each token, to tell the share of the machine's peak. */
  readonly operationsPerToken?: number;
  /** Arithmetic operations a second that the machine can do at best. */
  readonly peakOperationsPerSecond?: number;
  /** What settings came to that data, model or machine decide, and what computes, for the run's record. */
  readonly resolved?: Readonly<Record<string, unknown>>;
  /** Trains until the last step or, after saving, until the signal. */
  train(signal: AbortSignal): Promise<Outcome>;
}

/** One kind of training: its settings, and how settings become a run. */
export interface Stage<Settings extends z.ZodObject = z.ZodObject> {
  /** The command that runs it. */
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /**
   * Defaults, checks, command-line flags and help all come from this schema. It has at least {@link runSettings}.
   */
  readonly settings: Settings;
  /** Settings that say how a run begins: one that goes on has what they ask for in its checkpoint. */
  readonly beginning?: readonly (keyof z.output<Settings> & string)[];
  /** Whole command lines to copy. */
  readonly examples?: readonly string[];
  /** Reads data and model and builds everything; whatever can be wrong with the settings is found here. */
  prepare(settings: z.output<Settings>, environment: StageEnvironment): Promise<StageRun>;
}

/** Gives a stage literal its types, and nothing else. */
export function defineStage<Settings extends z.ZodObject>(stage: Stage<Settings>): Stage<Settings> {
  return stage;
}

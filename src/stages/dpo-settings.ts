import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import type { DpoOptions } from "../train/objectives/dpo.ts";
import type { KtoOptions } from "../train/objectives/kto.ts";
import type { ReferenceFreeOptions } from "../train/preference-batch.ts";
import { adapterSettingsWithoutDropout, addedAdapterSettings, learningRateSetting } from "./adapter-settings.ts";
import { heldOutSettings } from "./held-out.ts";
import { badRowSettings, contextSettings } from "./row-settings.ts";
import { epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";

/** Learning rate of models that are trained whole. */
export const usualRate = 1e-6;

/** Settings of the stage `dpo`. */
export const DpoSettings = z.object({
  model: z.string().describe("model folder to start from").meta({ placeholder: "folder", isPath: true }),
  reference: z
    .string()
    .nullable()
    .default(null)
    .describe("model folder to stay near to; default: the one to start from; orpo and simpo have none")
    .meta({ aliases: ["ref_model"], placeholder: "folder", isPath: true }),
  data: z
    .array(z.string())
    .min(1)
    .describe(
      "preference pairs, or rankings, which give all their pairs; for kto also answers with labels: files of JSON, CSV " +
        "or Parquet, or globs",
    )
    .meta({ placeholder: "file", isData: true }),
  ...heldOutSettings({ files: "pairs to evaluate on", of: "prompts", share: 0.05 }),
  loss: z
    .enum(["sigmoid", "cdpo", "robust", "ipo", "hinge", "kto", "orpo", "simpo"])
    .default("sigmoid")
    .describe("loss of the margin between two answers; kto: of single answers")
    .meta({ aliases: ["loss_type"] }),
  beta: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe(
      "strength of the pull to the reference, 1/nat; orpo: weight of the odds ratio; simpo: scale of the reward; " +
        "default: 0.1, and 2 for simpo",
    ),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .nullable()
    .default(null)
    .describe("share of pairs believed to be the wrong way round; sigmoid: 0 by default; cdpo, robust: 0.1"),
  gamma: z
    .number()
    .nonnegative()
    .nullable()
    .default(null)
    .describe("simpo: by how much the chosen answer's reward shall be higher; default: 0.5")
    .meta({ aliases: ["simpo_gamma"] }),
  desirableWeight: z
    .number()
    .nonnegative()
    .nullable()
    .default(null)
    .describe("kto: weight of wanted answers; default: 1"),
  undesirableWeight: z
    .number()
    .nonnegative()
    .nullable()
    .default(null)
    .describe("kto: weight of unwanted answers; default: 1"),
  ...badRowSettings,
  ...contextSettings,
  longRows: z.enum(["error", "skip"]).default("error").describe("what to do with a pair longer than the context"),
  ...addedAdapterSettings,
  ...adapterSettingsWithoutDropout,
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  batchSize: trainingSettings.batchSize
    .default(8)
    .describe("pairs, or judged answers, that go through the model at once"),
  learningRate: learningRateSetting(usualRate),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
});
export type DpoSettings = z.output<typeof DpoSettings>;

/** A loss and its constants. */
export type PreferenceLoss = DpoOptions | ReferenceFreeOptions | ({ readonly kind: "kto" } & KtoOptions);

/** What settings say of the loss. */
type LossChoice = Pick<DpoSettings, "loss" | "beta" | "reference" | keyof typeof owners>;

/** Which losses a constant is for. */
const owners = {
  labelSmoothing: ["sigmoid", "cdpo", "robust"],
  gamma: ["simpo"],
  desirableWeight: ["kto"],
  undesirableWeight: ["kto"],
} as const satisfies Partial<Record<keyof DpoSettings, readonly DpoSettings["loss"][]>>;

const flags = {
  labelSmoothing: "label-smoothing",
  gamma: "gamma",
  desirableWeight: "desirable-weight",
  undesirableWeight: "undesirable-weight",
} as const;

/**
 * The loss that settings ask for.
 *
 * @throws {SettingsError} when a constant, or the reference, is for another loss.
 */
export function preferenceLoss(settings: LossChoice): PreferenceLoss {
  refuseForeign(settings);
  const { loss, labelSmoothing, gamma, desirableWeight, undesirableWeight } = settings;
  const beta = settings.beta ?? (loss === "simpo" ? 2 : 0.1);
  switch (loss) {
    case "kto":
      return { kind: loss, beta, desirableWeight: desirableWeight ?? 1, undesirableWeight: undesirableWeight ?? 1 };
    case "orpo":
      return { kind: loss, beta };
    case "simpo":
      return { kind: loss, beta, gamma: gamma ?? 0.5 };
    case "cdpo":
      return { kind: "sigmoid", beta, labelSmoothing: labelSmoothing ?? 0.1 };
    default:
      return { kind: loss, beta, labelSmoothing: labelSmoothing ?? (loss === "robust" ? 0.1 : 0) };
  }
}

/** @throws {SettingsError} when something is given that is for another loss. */
function refuseForeign(settings: LossChoice): void {
  const { loss, reference } = settings;
  for (const key of Object.keys(owners) as (keyof typeof owners)[]) {
    const own: readonly string[] = owners[key];
    if (settings[key] === null || own.includes(loss) || (key === "labelSmoothing" && settings[key] === 0)) continue;
    throw new SettingsError(
      `${flags[key]}: ${settings[key]} is given, and is for ${own.join(", ")}, not for the ${loss} loss; leave it out`,
    );
  }
  if (reference !== null && ["orpo", "simpo"].includes(loss)) {
    throw new SettingsError(`reference: the ${loss} loss has none; leave it out, or choose another --loss`);
  }
}

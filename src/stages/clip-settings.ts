import { z } from "zod";
import { heldOutSettings } from "./held-out.ts";
import { badRowSettings } from "./row-settings.ts";
import { epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";

const pictures = { group: "Pictures" };
const heldOut = heldOutSettings({ files: "pictures to evaluate on", of: "data", share: 0.05 });

/** Settings of {@link clip}. */
export const ClipStageSettings = z.object({
  model: z
    .string()
    .nullable()
    .default(null)
    .describe("folder of CLIP to start from; without, a new model of the sizes below")
    .meta({ placeholder: "folder", isPath: true }),
  data: z
    .array(z.string())
    .min(1)
    .describe(
      "pictures with texts: a folder with metadata.jsonl, one with a .txt beside each picture, or a file of rows",
    )
    .meta({ placeholder: "path", isData: true }),
  ...heldOut,
  validationShare: heldOut.validationShare.describe(
    "about this share of the pictures is held out, chosen by the names of their files: the same ones each time",
  ),
  ...badRowSettings,
  loss: z
    .enum(["infonce", "siglip"])
    .default("infonce")
    .describe("each finds its other half among all (CLIP), or each pair is judged by itself (SigLIP)")
    .meta({ group: "Training" }),
  moreTexts: z
    .int()
    .nonnegative()
    .default(1024)
    .describe("other texts of the data that the pictures of a batch are told from, too; 0 is only its own")
    .meta({ group: "Training" }),
  augment: z
    .number()
    .min(0)
    .max(3)
    .default(1)
    .describe("how much pictures are moved, turned, scaled and coloured by chance; 0 shows them as they are")
    .meta(pictures),
  mirror: z.boolean().default(false).describe("shows half of the pictures as in a mirror").meta(pictures),
  imageSize: z
    .int()
    .positive()
    .max(2048)
    .default(32)
    .describe("pixels that pictures are made wide and high")
    .meta(pictures),
  patchSize: z.int().positive().default(8).describe("pixels of a patch; has to divide the size").meta(pictures),
  width: z.int().positive().default(128).describe("width of both encoders, and of the space they lead to"),
  layers: z.int().positive().default(3).describe("layers of the encoder of pictures"),
  heads: z.int().positive().default(4).describe("attention heads of both"),
  textLayers: z
    .int()
    .nonnegative()
    .default(0)
    .describe("layers of the encoder of texts; 0 takes the mean of the words, whatever their order"),
  vocabularySize: z.int().positive().default(8192).describe("tokens of a new model, learned from the texts"),
  context: z.int().positive().default(77).describe("most tokens of a text; more are cut"),
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  batchSize: trainingSettings.batchSize.default(128),
  learningRate: trainingSettings.learningRate.default(1e-3),
  adamBeta2: trainingSettings.adamBeta2.default(0.98),
  warmupSteps: trainingSettings.warmupSteps.default(100),
  ...epochSettings,
  epochs: epochSettings.epochs.default(30),
});
/** Settings of the stage, checked. */
export type ClipStageSettings = z.output<typeof ClipStageSettings>;

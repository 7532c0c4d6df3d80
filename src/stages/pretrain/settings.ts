import { z } from "zod";
import { adapterSettings, addedAdapterSettings } from "../adapter-settings.ts";
import { badRowSettings } from "../row-settings.ts";
import { runSettings, trainingSettings } from "../stage.ts";
import { shapeSettings } from "./model.ts";

/** Settings of the stage `pretrain`. */
export const PretrainSettings = z.object({
  model: z
    .string()
    .min(1)
    .default("gpt2")
    .describe(
      "family of a new model (gpt1, gpt2, llama, lstm, mixtral, prefix, bert, t5, bart, transformer), or a model folder to go on training",
    )
    .meta({
      placeholder: "name|folder",
      isPath: { unless: "^(gpt1|gpt2|llama|lstm|mixtral|prefix|bert|t5|bart|transformer)$" },
    }),
  data: z
    .array(z.string().min(1))
    .min(1)
    .describe("files of text or of rows (JSON, Parquet), folders or globs; PATH=WEIGHT for shares")
    .meta({ placeholder: "path", isData: true }),
  validation: z
    .array(z.string().min(1))
    .default([])
    .describe("text to evaluate on; without, a part of the data is held out")
    .meta({ placeholder: "path", isData: true }),
  textColumn: z
    .string()
    .min(1)
    .default("text")
    .describe("column of the text in files of rows")
    .meta({ placeholder: "name", group: "Data" }),
  ...badRowSettings,
  validationFraction: z
    .number()
    .min(0)
    .lt(0.5)
    .optional()
    .describe("share of the data that is held out (default: 0.1, and at most 16 million characters)"),
  objective: z
    .enum(["auto", "next-token", "prefix"])
    .default("auto")
    .describe(
      "what a decoder learns: each next token, or those after a prefix that it sees at once (default: as it learned before)",
    )
    .meta({ group: "Objective" }),
  maskRate: z
    .number()
    .gt(0)
    .max(0.9)
    .optional()
    .describe("share of the tokens that bert has to name, or that an encoder-decoder has to write (default: 0.15)")
    .meta({ aliases: ["mlm_probability"], group: "Objective" }),
  wholeWords: z
    .boolean()
    .optional()
    .describe("hide words with all their pieces (bert; default: off)")
    .meta({ group: "Objective" }),
  nextSentence: z
    .boolean()
    .optional()
    .describe("pairs of segments, and whether the second follows the first (bert; default: on)")
    .meta({ group: "Objective" }),
  spanLength: z
    .number()
    .min(1)
    .optional()
    .describe("mean length of the stretches that are taken out, in tokens (encoder-decoders; default: 3)")
    .meta({ group: "Objective" }),
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe(
      "characters, bpe-N, unigram-N or wordpiece-N to learn N tokens from the data, or a folder (default: " +
        "wordpiece-4096 for bert, else bpe-4096, or the model's own)",
    )
    .meta({ placeholder: "name|folder", isPath: { unless: "^(characters|(bpe|unigram|wordpiece)-\\d+)$" } }),
  ...shapeSettings,
  ...addedAdapterSettings,
  ...adapterSettings,
  ...runSettings,
  ...trainingSettings,
  learningRate: z
    .number()
    .positive()
    .optional()
    .describe("highest step size of AdamW (default: 5e-4; with --scale-parameter 1e-2)")
    .meta({ aliases: ["lr"], group: "Training" }),
  scaleParameter: z
    .boolean()
    .optional()
    .describe("step sizes count relative to the root mean square of each matrix, as in Adafactor (default: t5 only)")
    .meta({ group: "Training" }),
  warmupSteps: z
    .int()
    .nonnegative()
    .optional()
    .describe("steps over which the learning rate rises from 0 (default: a twentieth of the steps, at most 100)")
    .meta({ group: "Training" }),
  finalLearningRateShare: trainingSettings.finalLearningRateShare.default(0.2),
  evaluationTokens: z
    .int()
    .nonnegative()
    .default(0)
    .describe("most tokens to evaluate on; 0 is all that is held out")
    .meta({ group: "Run" }),
  prompts: z
    .array(z.string())
    .default([])
    .describe("texts to continue, or to fill in, as samples (default: from the start, or held-out text)")
    .meta({
      group: "Run",
    }),
  sampleTokens: z.int().positive().default(100).describe("length of a sample, in tokens").meta({ group: "Run" }),
});
export type PretrainSettings = z.output<typeof PretrainSettings>;

import { z } from "zod";
import { adapterSettings, addedAdapterSettings } from "./adapter-settings.ts";
import { heldOutSettings } from "./held-out.ts";
import { shapeSettings } from "./pretrain/model.ts";
import { badRowSettings } from "./row-settings.ts";
import { epochSettings, runSettings, trainingSettings } from "./stage.ts";

/** Settings of `stemma seq2seq`. */
export const Seq2SeqSettings = z.object({
  model: z
    .string()
    .min(1)
    .default("transformer")
    .describe("family of a new model (transformer, bart, t5), or the folder of an encoder-decoder to go on training")
    .meta({ placeholder: "name|folder", isPath: { unless: "^(transformer|bart|t5)$" } }),
  data: z
    .array(z.string().min(1))
    .min(1)
    .describe("rows of a text and what to make of it: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true, group: "Data" }),
  ...heldOutSettings({ files: "rows to evaluate on", of: "data", share: 0.05, group: "Data" }),
  sourceColumn: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("column of the text that is read (default: source; src; input; document; article; question …)")
    .meta({ placeholder: "name", group: "Data" }),
  targetColumn: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("column of the text that is written (default: target; tgt; output; summary; highlights; answer …)")
    .meta({ placeholder: "name", group: "Data" }),
  prefix: z
    .string()
    .default("")
    .describe('put before each text that is read, as in "translate English to German: "')
    .meta({ aliases: ["source_prefix"], placeholder: "text", group: "Data" }),
  longRows: z
    .enum(["error", "skip", "truncate"])
    .default("skip")
    .describe("what to do with a row of which a text is longer than the context")
    .meta({ group: "Data" }),
  ...badRowSettings,
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe(
      "of a new model: characters, bpe-N, unigram-N or wordpiece-N to learn N tokens from both texts, or a folder",
    )
    .meta({ placeholder: "name|folder", isPath: { unless: "^(characters|(bpe|unigram|wordpiece)-\\d+)$" } }),
  ...shapeSettings,
  ...addedAdapterSettings,
  ...adapterSettings,
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("share of each target that is spread over all tokens; 0 is off, 0.1 the Transformer's")
    .meta({ aliases: ["label_smoothing_factor"], group: "Training" }),
  ...runSettings,
  ...trainingSettings,
  batchSize: trainingSettings.batchSize.default(32).describe("rows that go through the model at once"),
  learningRate: trainingSettings.learningRate.default(1e-3),
  schedule: trainingSettings.schedule.default("inverse-sqrt"),
  warmupSteps: trainingSettings.warmupSteps.default(200),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
  scoredRows: z
    .int()
    .nonnegative()
    .default(500)
    .describe("held-out rows that the final model writes, to compare with their targets; 0 is none")
    .meta({ group: "Run" }),
  maxNewTokens: z.int().positive().default(128).describe("longest text that is written, in tokens").meta({
    group: "Run",
  }),
});
export type Seq2SeqSettings = z.output<typeof Seq2SeqSettings>;

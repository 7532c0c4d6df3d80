import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import type { TaskColumns, TaskKind } from "../data/task-examples.ts";
import { defaultColumns, taskKinds } from "../data/task-examples.ts";
import { adapterSettings, addedAdapterSettings, learningRateSetting } from "./adapter-settings.ts";
import { embeddingSettings } from "./embedding-settings.ts";
import { heldOutSettings } from "./held-out.ts";
import { badRowSettings, contextSettings } from "./row-settings.ts";
import { epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";

/** In which columns the data are; `--text-columns a,b` for the two texts of a pair. */
export const columnSettings = {
  textColumns: z
    .array(z.string().min(1))
    .max(3)
    .default([])
    .describe(
      "column of the text, or the two of a pair (default: text; premise,hypothesis; first,second; context; of embeddings what is there of anchor,positive,negative and sentence1,sentence2)",
    )
    .meta({ placeholder: "name", group: "Data" }),
  labelColumn: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "column of the class, score or right answer (default: label; answer for multiple choice; score for embeddings)",
    )
    .meta({ placeholder: "name", group: "Data" }),
  choicesColumn: z
    .string()
    .min(1)
    .default("choices")
    .describe("column of the list of answers, for multiple choice")
    .meta({ placeholder: "name", group: "Data" }),
  ...badRowSettings,
  ...contextSettings,
  longRows: z
    .enum(["error", "skip", "truncate"])
    .default("truncate")
    .describe("what to do with a row longer than the context; of a pair the longer text is cut first")
    .meta({ group: "Data" }),
} as const;

/** Learning rate of models that are trained whole. */
export const usualRate = 1e-4;

/** Settings of `stemma finetune`. */
export const FinetuneSettings = z.object({
  task: z.enum([...taskKinds, "embedding"]).describe("what to learn"),
  model: z.string().describe("folder of a pretrained model, or of one fine-tuned for the same task").meta({
    placeholder: "folder",
    isPath: true,
  }),
  data: z
    .array(z.string())
    .min(1)
    .describe("rows to learn from: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true, group: "Data" }),
  ...heldOutSettings({ files: "rows to evaluate on", of: "data", share: 0.1, group: "Data" }),
  ...columnSettings,
  score: z.boolean().default(false).describe("labels are numbers to predict, not names of classes").meta({
    group: "Data",
  }),
  languageModelWeight: z
    .number()
    .nonnegative()
    .default(0.5)
    .describe("weight λ of next-token prediction on the same rows, beside the task's own loss")
    .meta({ aliases: ["lm_coefficient"], group: "Method" }),
  freezeBody: z
    .boolean()
    .default(false)
    .describe("train the head and the extract token's embedding alone; of the rest only keys and values are kept")
    .meta({ group: "Method" }),
  freezeLayers: z
    .int()
    .nonnegative()
    .default(0)
    .describe("layers from the bottom that are not trained, embeddings included")
    .meta({ group: "Method" }),
  headDropout: z.number().min(0).lt(1).default(0.1).describe("share of the head's inputs dropped in training").meta({
    group: "Method",
  }),
  ...embeddingSettings,
  ...addedAdapterSettings,
  ...adapterSettings,
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  batchSize: trainingSettings.batchSize.default(32).describe("rows that go through the model at once"),
  learningRate: learningRateSetting(usualRate),
  schedule: trainingSettings.schedule.default("linear"),
  weightDecay: trainingSettings.weightDecay.default(0.01),
  ...epochSettings,
  epochs: epochSettings.epochs.default(3),
});
export type FinetuneSettings = z.output<typeof FinetuneSettings>;

/** The columns that settings name, with a task's defaults. */
export function columnsOf(
  task: TaskKind,
  { textColumns, labelColumn, choicesColumn }: Pick<FinetuneSettings, "textColumns" | "labelColumn" | "choicesColumn">,
  defaults: TaskColumns = defaultColumns[task],
): TaskColumns {
  if (textColumns.length > 2) {
    throw new SettingsError(
      `text-columns: ${textColumns.join(", ")} are ${textColumns.length}; this task reads one or two`,
    );
  }
  return {
    texts: textColumns.length > 0 ? textColumns : defaults.texts,
    label: labelColumn ?? defaults.label,
    choices: choicesColumn,
  };
}

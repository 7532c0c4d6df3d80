import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { batchOf, rowBatches } from "../data/chat-rows.ts";
import { evaluationWindows } from "../data/evaluation-windows.ts";
import { preparePretraining } from "../data/prepare.ts";
import { defaultTokenCache } from "../data/token-cache.ts";
import { trainingWindows } from "../data/windows.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, openTrainee, refuseOtherTokenizer } from "../generate/assistant.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadTensors } from "../models/read-model.ts";
import { freeze, trainedParameters } from "../nn/parameters.ts";
import { distillationObjective } from "../train/distillation.ts";
import { epochSteps } from "../train/epoch-batches.ts";
import { sharedLoss } from "../train/mean-loss.ts";
import type { PredictionBatch } from "../train/objectives/next-token.ts";
import type { MicroBatch } from "../train/run.ts";
import { adaptFor, keepingOfAssistant, openStart } from "./adapter-run.ts";
import { adapterSettings, addedAdapterSettings, learningRateSetting, rateOf } from "./adapter-settings.ts";
import { conversationRows, conversationSettings, readTalks } from "./conversation-rows.ts";
import { readFitting } from "./fitted-context.ts";
import { longestContext } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage, epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/** Learning rate of models that are trained whole. */
const usualRate = 2e-5;

const DistillSettings = z.object({
  model: z.string().describe("student: model folder to start from").meta({ placeholder: "folder", isPath: true }),
  teacher: z
    .string()
    .describe("model folder to learn from, with the student's tokenizer")
    .meta({ aliases: ["teacher_model_name_or_path"], placeholder: "folder", isPath: true }),
  ...conversationSettings,
  data: conversationSettings.data.default([]).meta({ ...conversationSettings.data.meta() }),
  text: z
    .array(z.string())
    .default([])
    .describe("text instead of conversations: files, folders, globs")
    .meta({ placeholder: "path", isData: true }),
  divergence: z
    .enum(["forward", "reverse", "jsd"])
    .default("forward")
    .describe("KL(teacher ‖ student), KL(student ‖ teacher), or between the two (Jensen-Shannon)")
    .meta({ group: "Distillation" }),
  beta: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.5)
    .describe("jsd: towards 0 the forward direction, towards 1 the reverse one")
    .meta({ group: "Distillation" }),
  temperature: z
    .number()
    .min(0.01)
    .max(1000) // beyond either, the logits of float32 are no more than their order, or nothing at all
    .default(1)
    .describe("divides the logits of both; above 1, what is unlikely counts more")
    .meta({ group: "Distillation" }),
  dataWeight: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("share of the loss that is the ordinary one, of the tokens in the data; the rest is the teacher's")
    .meta({ group: "Distillation" }),
  ...addedAdapterSettings,
  ...adapterSettings,
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  learningRate: learningRateSetting(usualRate),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
});
type DistillSettings = z.output<typeof DistillSettings>;

/**
 * Distillation: a student learns what a teacher finds likely at every token, rather than the token alone.
 *
 * @see Hinton et al. (2015), arXiv:1503.02531; Agarwal et al. (2024), arXiv:2306.13649.
 */
export const distill = defineStage({
  name: "distill",
  summary: "teach a small model what a larger one of the same tokenizer finds likely",
  settings: DistillSettings,
  beginning: ["model", "adapter"],
  examples: [
    "stemma distill --model runs/small/final --teacher runs/large/final --data talks.jsonl --output runs/taught",
  ],
  async prepare(settings, environment) {
    if (settings.data.length > 0 === settings.text.length > 0) {
      const given = settings.data.length > 0 ? "both are given" : "neither is given";
      throw new SettingsError(`data, text: ${given}; distill learns on conversations (--data) or on text (--text)`);
    }
    const backend = await openMachine(settings, environment);
    const student = await openStart(settings, environment, backend);
    adaptFor(settings, student.model);
    const teacher = await openTeacher(student, settings, backend);
    const read = settings.text.length > 0 ? textLessons : conversationLessons;
    const { context, count, batches, evaluation } = await readFitting(
      settings,
      environment,
      (asked, own) => read(student, teacher, asked, own),
      (lessons) => ({ stage: "sft", name: "distill", ...settings, ...student, longest: lessons.context }),
    );
    const steps = epochSteps(count, settings);
    const settled = { ...settings, steps, context, learningRate: rateOf(settings, usualRate) };
    return trainStage(
      {
        model: student.model,
        parameters: trainedParameters(student.model),
        objective: (model, batch: PredictionBatch, random) =>
          distillationObjective({ student: model, teacher, random }, batch, settings),
        batches,
        evaluate: () =>
          sharedLoss(evaluation, (batch) =>
            distillationObjective({ student: student.model, teacher, random: null }, batch, settings),
          ),
        sample: async () => {},
        contents: () => assistantContents(student),
        adapters: keepingOfAssistant(student, settings, environment),
        best: {
          isEvaluated: evaluation.length > 0,
          restore: (source) => loadTensors(student.family, student.model, source),
        },
      },
      settled,
      environment,
    );
  },
});

async function openTeacher(student: Assistant, { teacher }: DistillSettings, backend: Backend): Promise<LanguageModel> {
  const opened = await openTrainee(teacher, backend, [], "stored");
  refuseOtherTokenizer(`teacher ${teacher}`, student.encoder.tokenizer, opened.encoder.tokenizer, "the student");
  return freeze(opened.model);
}

/** What a run learns on and is measured by. */
interface Lessons {
  readonly context: number;
  /** Rows or windows of an epoch. */
  readonly count: number;
  readonly batches: (step: number) => MicroBatch<PredictionBatch>[];
  readonly evaluation: readonly MicroBatch<PredictionBatch>[];
}

/** Most tokens that both read. */
function bothRead(student: Assistant, teacher: LanguageModel): number {
  return Math.min(student.model.settings.context, teacher.settings.context);
}

async function conversationLessons(
  student: Assistant,
  teacher: LanguageModel,
  settings: DistillSettings,
  environment: StageEnvironment,
): Promise<Lessons> {
  const talks = await readTalks(settings, environment);
  const most = bothRead(student, teacher);
  const { rows, evaluation, context } = await conversationRows(student, talks, { ...settings, most }, environment);
  const { batchSize, accumulation: microBatches, seed } = settings;
  const at = rowBatches(rows, { batchSize, microBatches, seed });
  const starts = Array.from({ length: Math.ceil(evaluation.length / batchSize) }, (_, i) => i * batchSize);
  const heldOut = starts.map((first) => batchOf(evaluation.slice(first, first + batchSize)));
  return { context, count: rows.length, batches: (step) => byTargets(at(step)), evaluation: byTargets(heldOut) };
}

/** Windows of text are as long as most models are pretrained with where nothing else is asked for. */
const usualContext = 1024;

async function textLessons(
  student: Assistant,
  teacher: LanguageModel,
  settings: DistillSettings,
  { folder, note, signal }: StageEnvironment,
): Promise<Lessons> {
  const most = bothRead(student, teacher);
  const context = Math.min(longestContext(settings.context, most), settings.context ?? usualContext);
  const { validation, validationShare, badRows, batchSize, accumulation: microBatches, seed } = settings;
  const { training, validation: heldOut } = await preparePretraining({
    ...{ data: settings.text, tokenizer: student.encoder.tokenizer, badRows, onNote: note, signal },
    ...(validation.length > 0 ? { validation } : { validationFraction: validationShare }),
    cacheFolder: defaultTokenCache(folder.path),
  });
  const windows = trainingWindows({ sources: training, context, seed });
  const evaluation = heldOut.length > 0 ? [...evaluationWindows({ files: heldOut, context }).batches(batchSize)] : [];
  const division = { batchSize: batchSize * microBatches, microBatches };
  const batches: Lessons["batches"] = (step) => byTargets(windows.batchAt(step, division));
  return { context, count: windows.windows, batches, evaluation: byTargets(evaluation) };
}

/** Micro-batches that weigh by the tokens they have to predict. */
function byTargets(batches: readonly PredictionBatch[]): MicroBatch<PredictionBatch>[] {
  const counts = batches.map(({ targets }) => targets.reduce((n, target) => n + (target >= 0 ? 1 : 0), 0));
  const total = counts.reduce((a, b) => a + b, 0);
  return batches.map((batch, i) => ({ batch, share: (counts[i] ?? 0) / total, tokens: batch.inputs.length }));
}

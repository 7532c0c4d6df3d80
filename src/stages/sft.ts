import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { mostOf } from "../core/most-of.ts";
import type { ChatRow, PackedBatch } from "../data/chat-rows.ts";
import { batchOf, rowBatches } from "../data/chat-rows.ts";
import type { Conversation } from "../data/conversations.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, withTemplate } from "../generate/assistant.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import { loadTensors } from "../models/read-model.ts";
import { trainedParameters } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isLearnt } from "../text/chat-message.ts";
import { epochSteps } from "../train/epoch-batches.ts";
import { nextTokenLoss } from "../train/objectives/next-token.ts";
import type { Metrics } from "../train/run.ts";
import { sampleAnswers } from "../train/sample-answers.ts";
import { textLoss } from "../train/text-loss.ts";
import type { AdapterChoice } from "./adapter-run.ts";
import { adaptFor, keepingOfAssistant, openStart, startOf } from "./adapter-run.ts";
import { adapterSettings, addedAdapterSettings, learningRateSetting, rateOf } from "./adapter-settings.ts";
import { byTrained, conversationRows, conversationSettings, readTalks } from "./conversation-rows.ts";
import { readFitting } from "./fitted-context.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage, epochSettings, runSettings, trainingSettings } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/** Learning rate of models that are trained whole. */
const usualRate = 2e-5;

const SftSettings = z.object({
  model: z.string().describe("model folder to start from").meta({ placeholder: "folder", isPath: true }),
  ...conversationSettings,
  data: conversationSettings.data.min(1),
  chatTemplate: z
    .union([z.enum(["chatml", "none"]), z.string()])
    .nullable()
    .default(null)
    .describe("chatml, none, or a Jinja file; default: the model's own, ChatML where it has none")
    .meta({ placeholder: "chatml|none|file", isPath: { unless: "^(chatml|none)$" } }),
  specialTokens: z.array(z.string()).default([]).describe("texts that become one token each, for your own template"),
  maxNewTokens: z.int().positive().default(128).describe("longest answer in samples"),
  ...addedAdapterSettings,
  ...adapterSettings,
  ...runSettings,
  ...trainingSettings,
  learningRate: learningRateSetting(usualRate),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
});
type SftSettings = z.output<typeof SftSettings>;

/**
 * Supervised fine-tuning: next-token prediction on what the assistant says in conversations.
 *
 * @see Ouyang et al. (2022), section 3.5, arXiv:2203.02155.
 */
export const sft = defineStage({
  name: "sft",
  summary: "teach a model to answer, from conversations",
  settings: SftSettings,
  beginning: ["model", "adapter", "chatTemplate", "specialTokens"],
  examples: ["stemma sft --model runs/base/final --data talks.jsonl --output runs/sft"],
  async prepare(settings, environment) {
    const backend = await openMachine(settings, environment);
    const { assistant, enlarged } = await openLearner(settings, environment, backend);
    const { training, heldOut } = await readTalks(settings, environment);
    const talks = { training, heldOut };
    const { rows, evaluation, context } = await readFitting(
      settings,
      environment,
      (asked, own) => conversationRows(assistant, talks, asked, own),
      (read) => ({ stage: "sft", ...settings, ...assistant, longest: longestRow(read.rows) }),
    );
    const { batchSize, accumulation: microBatches, seed } = settings;
    const steps = epochSteps(rows.length, settings);
    const batchesAt = rowBatches(rows, { batchSize, microBatches, seed });
    const settled = { ...settings, steps, context, learningRate: rateOf(settings, usualRate) };
    return trainStage(
      {
        model: assistant.model,
        parameters: trainedParameters(assistant.model),
        objective: (model, batch: PackedBatch, random) =>
          nextTokenLoss(model, batch, random, { recompute: settings.recompute }),
        batches: (step) => byTrained(batchesAt(step)),
        evaluate: () => evaluate(assistant, evaluation, batchSize),
        sample: (step) => sample(assistant, heldOut, step, settings, environment),
        contents: () => assistantContents(assistant),
        adapters: keepingOfAssistant(assistant, settings, environment, enlarged),
        best: {
          isEvaluated: evaluation.length > 0,
          restore: (source) => loadTensors(assistant.family, assistant.model, source),
        },
      },
      settled,
      environment,
    );
  },
});

function longestRow(rows: readonly ChatRow[]): number {
  return mostOf(rows, ({ inputs }) => inputs.length);
}

/**
 * The model with the template and its tokens. A run with adapters trains the rows of new tokens too, which nothing else
 * could teach it: the embedding and the output layer, of which they are a part.
 */
async function openLearner(
  settings: AdapterChoice & Pick<SftSettings, "model" | "adapter" | "chatTemplate" | "specialTokens">,
  environment: StageEnvironment,
  backend: Backend,
): Promise<{ assistant: Assistant; enlarged: readonly Tensor[] }> {
  const opened = await openStart(settings, environment, backend);
  const before = opened.model.settings.vocabularySize;
  if (startOf(settings, environment) === environment.folder.checkpoint?.path)
    return { assistant: opened, enlarged: [] };
  const assistant = await withTemplate(opened, settings.chatTemplate, settings.specialTokens);
  const { model } = assistant;
  adaptFor(settings, model);
  if (settings.loraRank === 0 || model.settings.vocabularySize === before) return { assistant, enlarged: [] };
  const enlarged = [...new Set([model.tokenEmbedding, model.outputWeight])];
  for (const table of enlarged) table.requiresGrad = true;
  environment.note(
    `${model.settings.vocabularySize - before} new tokens: the embedding that they are rows of is trained beside the adapters`,
  );
  return { assistant, enlarged };
}

async function evaluate({ model }: Assistant, rows: readonly ChatRow[], batchSize: number): Promise<Metrics> {
  const starts = Array.from({ length: Math.ceil(rows.length / batchSize) }, (_, i) => i * batchSize);
  const { sum, tokens } = await textLoss(
    model,
    starts.map((first) => batchOf(rows.slice(first, first + batchSize))),
  );
  return tokens > 0 ? { eval_loss: sum / tokens } : {};
}

/** Answers to the first held-out prompts. */
async function sample(
  { model, encoder }: Assistant,
  conversations: readonly Conversation[],
  step: number,
  { maxNewTokens, seed }: Pick<SftSettings, "maxNewTokens" | "seed">,
  environment: StageEnvironment,
): Promise<void> {
  const prompts = conversations
    .slice(0, 3)
    .map(({ messages, variables }) => encoder.encodePrompt(messages.slice(0, messages.findIndex(isLearnt)), variables));
  const fitting = prompts.filter(({ length }) => length > 0 && length <= model.settings.context);
  const { tokenizer } = encoder;
  const options = { maxNewTokens, seed, endTokens: encoder.endTokens(), batchSize: 3, tokenizer };
  const answers = await sampleAnswers(model, fitting, { ...options, sampling: SamplingSettings.parse({}) });
  for (const { prompt, answer } of answers) {
    environment.sample(step, { prompt: tokenizer.decode(prompt), text: tokenizer.decode(answer) });
  }
}

import type { Backend } from "../../backend/kernels.ts";
import type { PretrainingData } from "../../data/prepare.ts";
import type { Assistant } from "../../generate/assistant.ts";
import { assistantContents } from "../../generate/assistant.ts";
import { checkPrompts } from "../../generate/generate.ts";
import { SamplingSettings } from "../../generate/sampling.ts";
import { isRecurrent } from "../../models/language-model.ts";
import { operationsPerToken } from "../../models/operations.ts";
import { loadTensors } from "../../models/read-model.ts";
import { trainedParameters } from "../../nn/parameters.ts";
import { decodeContinuation } from "../../text/continuation-decoder.ts";
import { begun, documentStart } from "../../text/text-bounds.ts";
import type { PredictionBatch } from "../../train/objectives/next-token.ts";
import { sampleAnswers } from "../../train/sample-answers.ts";
import { adaptFor, keepingOfAssistant } from "../adapter-run.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import type { DecoderLearning } from "./decoder-learning.ts";
import { carriedLearning, windowLearning } from "./decoder-learning.ts";
import { openPretraining, usualContext } from "./model.ts";
import { prepareText, pretrainingRun } from "./run.ts";
import type { PretrainSettings } from "./settings.ts";

/**
 * A decoder learns each next token, or only those after a prefix.
 *
 * @see Radford et al. (2018), section 3.1; Raffel et al. (2020), section 3.2.1, for prefixes.
 */
export async function pretrainDecoder(
  settings: PretrainSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<StageRun> {
  const opened = await openPretraining(settings, environment, backend);
  const { model } = opened;
  adaptFor(settings, model);
  if (settings.objective !== "auto") model.readsPrefix = settings.objective === "prefix";
  const context = settings.context ?? Math.min(model.settings.context, usualContext);
  const data = await prepareText(settings, opened.encoder.tokenizer, environment);
  const prompts = samplePrompts(opened, data, settings);
  checkPrompts(model, prompts);
  const run = <Batch extends PredictionBatch>(learning: DecoderLearning<Batch>): Promise<StageRun> =>
    pretrainingRun(
      {
        ...{ model, data, parameters: trainedParameters(model), ...learning },
        tokensOf: (batch) => batch.batch * batch.time,
        sample: (step) => sample(opened, prompts, step, settings, environment),
        contents: () => assistantContents(opened),
        adapters: keepingOfAssistant(opened, settings, environment),
        best: {
          isEvaluated: data.validation.length > 0,
          restore: (source) => loadTensors(opened.family, model, source),
        },
        operationsPerToken: operationsPerToken(model, context),
      },
      settings,
      environment,
      backend,
    );
  return isRecurrent(model)
    ? run(carriedLearning(model, data, context, settings))
    : run(windowLearning(model, data, context, settings));
}

/** The prompts or, where there are none, the beginning of a text. */
function samplePrompts(
  { encoder: { tokenizer } }: Assistant,
  { training, validation }: PretrainingData,
  { prompts }: PretrainSettings,
): readonly Int32Array[] {
  if (prompts.length > 0) return prompts.map((prompt) => begun(tokenizer, tokenizer.encode(prompt)));
  const start = documentStart(tokenizer);
  if (start.length > 0) return [Int32Array.from(start)];
  return [Int32Array.of(tokenizer.endOfText ?? firstToken(validation[0] ?? training[0]?.file))];
}

async function sample(
  { model, encoder }: Assistant,
  prompts: readonly Int32Array[],
  step: number,
  { sampleTokens: maxNewTokens, seed }: PretrainSettings,
  environment: StageEnvironment,
): Promise<void> {
  const { tokenizer } = encoder;
  const options = { maxNewTokens, seed, endTokens: encoder.endTokens(), batchSize: prompts.length, tokenizer };
  const sampling = SamplingSettings.parse({ temperature: 0.8, topP: 0.95 });
  for (const { prompt, answer } of await sampleAnswers(model, prompts, { ...options, sampling })) {
    const shown = { skipSpecialTokens: true };
    const text = decodeContinuation(tokenizer, prompt, answer, shown);
    environment.sample(step, { prompt: tokenizer.decode(prompt, shown), text });
  }
}

function firstToken(file: PretrainingData["validation"][number] | undefined): number {
  const first = new Int32Array(1);
  file?.read(0, first);
  return first[0] ?? 0;
}

import type { Backend } from "../../backend/kernels.ts";
import type { TextPairs } from "../../data/span-corruption.ts";
import { corruptedWindows } from "../../data/span-corruption.ts";
import { SamplingSettings } from "../../generate/sampling.ts";
import { writeTexts } from "../../generate/text-to-text.ts";
import type { EncoderDecoder } from "../../models/encoder-decoder.ts";
import { asEncoderDecoder } from "../../models/encoder-decoders/index.ts";
import { textToTextOperationsPerToken } from "../../models/operations.ts";
import { loadTensors } from "../../models/read-model.ts";
import { trainedParameters } from "../../nn/parameters.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { meanLoss } from "../../train/mean-loss.ts";
import { textToTextLoss } from "../../train/objectives/text-to-text.ts";
import { adaptFor, keepingOf } from "../adapter-run.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import { withWritingIds, withWritingTokens } from "../writing-tokens.ts";
import { familyOfRun, modelContents, openOtherModel, usualContext } from "./model.ts";
import { evaluationSteps, prepareText, pretrainingRun } from "./run.ts";
import type { PretrainSettings } from "./settings.ts";

/** As many as T5's own tokenizer has. */
const sentinelCount = 100;
const sentinel = (i: number): string => `<extra_id_${i}>`;

/**
 * An encoder-decoder learns to write what was taken out of a text.
 *
 * @see Raffel et al. (2020), section 3.1.4.
 */
export async function pretrainTextToText(
  settings: PretrainSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<StageRun> {
  const family = asEncoderDecoder(await familyOfRun(settings, environment));
  if (!family) throw new Error("internal: this run is of another architecture");
  const { model, tokenizer } = await openOtherModel(
    family,
    { ...settings, tokenizerKind: "bpe" },
    environment,
    backend,
    {
      complete: withSentinels,
      shape: withWritingIds,
    },
  );
  adaptFor(settings, model);
  const context = settings.context ?? Math.min(model.settings.context, usualContext);
  const data = await prepareText(settings, tokenizer, environment);
  const { batchSize, recompute, seed, maskRate: density = 0.15, spanLength: meanSpan = 3 } = settings;
  const sentinels = Array.from({ length: sentinelCount }, (_, i) => tokenizer.specialTokens.get(sentinel(i)) ?? -1);
  const tokens = { sentinels: sentinels.filter((id) => id >= 0), endOfText: model.settings.endOfText ?? 1 };
  const text = { context, tokens, density, meanSpan };
  const windows = corruptedWindows({ ...text, sources: data.training, seed });
  const held = data.validation.filter(({ length }) => length >= 2 * context);
  const sources = held.map((file) => ({ file, weight: 1 }));
  const evaluation = held.length > 0 ? corruptedWindows({ ...text, sources, seed: 0 }) : null;
  return pretrainingRun(
    {
      ...{ model, data, parameters: trainedParameters(model), batchAt: windows.batchAt },
      objective: (of: EncoderDecoder, pairs: TextPairs, random) => textToTextLoss(of, pairs, random, { recompute }),
      tokensOf: ({ batch, time, targetTime }) => batch * (time + targetTime),
      evaluate: async () => {
        const steps = evaluation ? evaluationSteps(evaluation.windows, context, settings) : 0;
        const batches = Array.from({ length: steps }, (_, step) => evaluation?.batchAt(step, { batchSize }) ?? []);
        return meanLoss(batches.flat(), (pairs) => textToTextLoss(model, pairs, null));
      },
      sample: (step) => sample((evaluation ?? windows).batchAt(0, { batchSize: 1 })[0], step),
      contents: () => modelContents(family, model, tokenizer),
      adapters: keepingOf(
        { model, bindings: () => family.tensors(model), taskType: "SEQ_2_SEQ_LM" },
        settings,
        environment,
      ),
      best: { isEvaluated: evaluation !== null, restore: (source) => loadTensors(family, model, source) },
      // T5's embeddings begin a hundred times the size of its queries.
      scaleParameter: model.settings.positions.kind === "relative",
      operationsPerToken: textToTextOperationsPerToken(model, context, windows.targetTime),
    },
    settings,
    environment,
    backend,
  );

  /** What the model writes for the prompts or, where there are none, for held-out text with parts taken out. */
  async function sample(pairs: TextPairs | undefined, step: number): Promise<void> {
    const given = settings.prompts.map((prompt) => Int32Array.of(...tokenizer.encode(prompt), tokens.endOfText));
    const texts = given.length > 0 ? given : pairs ? [pairs.inputs] : [];
    const sampling = SamplingSettings.parse({ temperature: 0 });
    const options = { sampling, maxNewTokens: settings.sampleTokens, seed, tokenizer };
    const written = await writeTexts(model, texts, options);
    texts.forEach((prompt, i) => {
      const answer = written[i]?.tokens ?? [];
      environment.sample(step, { prompt: tokenizer.decode(prompt), text: tokenizer.decode(answer), isAnswer: true });
    });
  }
}

/** The same tokenizer with an end, padding, and what stands for parts that were taken out. */
function withSentinels(tokenizer: Tokenizer): Tokenizer {
  return withWritingTokens(
    tokenizer,
    Array.from({ length: sentinelCount }, (_, i) => sentinel(sentinelCount - 1 - i)),
  );
}

import type { Backend } from "../../backend/kernels.ts";
import { SettingsError } from "../../core/errors.ts";
import type { TextPairs } from "../../data/span-corruption.ts";
import { EncoderDecoder } from "../../models/encoder-decoder.ts";
import { Initializer, trainedParameters } from "../../nn/parameters.ts";
import { textToTextLoss } from "../../train/objectives/text-to-text.ts";
import type { Objective } from "../../train/run.ts";
import type { PlannedTextToText } from "./plan-models.ts";
import type { Mark, PlannedRun, PreparedStep } from "./prepared-step.ts";
import { adaptPlanned, someToken, trainingStep } from "./prepared-step.ts";

/** Tokens that are written for each that is read: 15 % taken out in stretches of three, with a token for each stretch. */
const writtenShare = 0.2;

/**
 * As for decoders, for an encoder-decoder.
 *
 * @throws {SettingsError} for every stage but pretraining.
 */
export function prepareTextToTextStep(
  backend: Backend,
  { settings, formats = [] }: PlannedTextToText,
  run: PlannedRun,
  mark: Mark,
): PreparedStep {
  const { stage, batchSize, context, recompute } = run;
  if (stage !== "pretrain") throw new SettingsError(`stage: there is no ${stage} of an encoder-decoder; plan pretrain`);
  const own = run.loraRank > 0 ? formats : [];
  const model = new EncoderDecoder(settings, new Initializer(backend, null, Number.POSITIVE_INFINITY, own));
  adaptPlanned(model, run);
  const inputs = new Int32Array(batchSize * context).fill(someToken);
  const targetTime = Math.ceil(writtenShare * context) + 1;
  const batch: TextPairs = {
    ...{ batch: batchSize, inputs, time: context, lengths: new Int32Array(batchSize).fill(context) },
    ...{ targets: new Int32Array(batchSize * targetTime).fill(someToken), targetTime },
  };
  const objective: Objective<EncoderDecoder, TextPairs> = (own, some, random) =>
    textToTextLoss(own, some, random, { recompute });
  const tokens = batchSize * (context + targetTime);
  return trainingStep(model, model, trainedParameters(model), { objective, batch, tokens }, mark);
}

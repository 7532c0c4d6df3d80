import { columnsOf } from "../data/continued-windows.ts";
import type { EvaluationWindows } from "../data/evaluation-windows.ts";
import type { LanguageModel, RecurrentModel } from "../models/language-model.ts";
import { asInTraining } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PredictionBatch } from "./objectives/next-token.ts";
import { continuedLoss, nextTokenLoss } from "./objectives/next-token.ts";
import type { Metrics } from "./run.ts";

/** Losses of a text, summed. */
export interface TextLoss {
  /** Σ −log p over all targets, in nats. */
  readonly sum: number;
  /** Targets summed over. */
  readonly tokens: number;
}

/**
 * What a model, as it is, loses on batches of text; nothing is dropped and no gradient kept.
 *
 * @throws {unknown} the reason of `signal` when that is aborted between two batches.
 */
export async function textLoss(
  model: LanguageModel,
  batches: Iterable<PredictionBatch>,
  signal?: AbortSignal,
): Promise<TextLoss> {
  let [sum, tokens] = [0, 0];
  for (const batch of batches) {
    signal?.throwIfAborted();
    const count = targetCount(batch);
    const loss = asInTraining(() => tensorScope(() => nextTokenLoss(model, batch, null)));
    sum += (await loss.item()) * count;
    tokens += count;
    loss.release();
  }
  return { sum, tokens };
}

/** {@link textLoss} of long batches that a recurrent model reads `context` tokens at a time, going on from state to state. */
async function continuedTextLoss(
  model: RecurrentModel,
  batches: Iterable<PredictionBatch>,
  context: number,
): Promise<TextLoss> {
  let [sum, tokens] = [0, 0];
  for (const batch of batches) {
    let state = model.newState(batch.batch);
    for (let start = 0; start < batch.time; start += context) {
      const window = columnsOf(batch, start, context);
      const count = targetCount(window);
      const read = asInTraining(() => tensorScope(() => continuedLoss(model, window, state, null)));
      sum += (await read.loss.item()) * count;
      tokens += count;
      for (const tensor of [read.loss, ...tensorsOf(state)]) tensor.release();
      state = read.state;
    }
    for (const tensor of tensorsOf(state)) tensor.release();
  }
  return { sum, tokens };
}

function targetCount({ targets }: PredictionBatch): number {
  return targets.reduce((n, target) => n + (target >= 0 ? 1 : 0), 0);
}

function tensorsOf(state: ReturnType<RecurrentModel["newState"]>): Tensor[] {
  return state.flatMap(({ hidden, cells }) => [hidden, cells]);
}

/**
 * Loss in nats a token, perplexity e^loss, and bits a character and a byte, which do not depend on the tokenizer:
 * Σ loss / ln 2 / characters.
 */
export async function evaluateText(
  model: LanguageModel,
  windows: EvaluationWindows,
  batchSize: number,
): Promise<Metrics> {
  return textMetrics(await textLoss(model, windows.batches(batchSize)), windows);
}

/** {@link evaluateText} of long windows that a recurrent model reads `context` tokens at a time. */
export async function evaluateContinuedText(
  model: RecurrentModel,
  windows: EvaluationWindows,
  batchSize: number,
  context: number,
): Promise<Metrics> {
  return textMetrics(await continuedTextLoss(model, windows.batches(batchSize), context), windows);
}

function textMetrics({ sum, tokens }: TextLoss, { characters, bytes }: EvaluationWindows): Metrics {
  const loss = sum / tokens;
  return {
    eval_loss: loss,
    eval_perplexity: Math.exp(loss),
    eval_bits_per_character: sum / Math.LN2 / characters,
    eval_bits_per_byte: sum / Math.LN2 / bytes,
  };
}

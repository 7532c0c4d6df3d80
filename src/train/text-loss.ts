import type { EvaluationWindows } from "../data/evaluation-windows.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { TokenBatch } from "./objectives/next-token.ts";
import { nextTokenLoss } from "./objectives/next-token.ts";
import type { Metrics } from "./train.ts";

/** Losses of a text, summed. */
export interface TextLoss {
  /** Σ −log p over all targets, in nats. */
  readonly sum: number;
  /** Targets summed over. */
  readonly tokens: number;
}

/** What a model, as it is, loses on batches of text; nothing is dropped and no gradient kept. */
export async function textLoss(model: LanguageModel, batches: Iterable<TokenBatch>): Promise<TextLoss> {
  let [sum, tokens] = [0, 0];
  for (const batch of batches) {
    const count = batch.targets.reduce((n, target) => n + (target >= 0 ? 1 : 0), 0);
    const loss = withoutGradients(() => tensorScope(() => nextTokenLoss(model, batch, null)));
    sum += (await loss.item()) * count;
    tokens += count;
    loss.release();
  }
  return { sum, tokens };
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
  const { sum, tokens } = await textLoss(model, windows.batches(batchSize));
  const loss = sum / tokens;
  return {
    eval_loss: loss,
    eval_perplexity: Math.exp(loss),
    eval_bits_per_character: sum / Math.LN2 / windows.characters,
    eval_bits_per_byte: sum / Math.LN2 / windows.bytes,
  };
}

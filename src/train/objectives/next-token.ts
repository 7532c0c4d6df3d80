import type { Random } from "../../core/random.ts";
import type { Packing } from "../../data/chat-rows.ts";
import type { TokenBatch as Windows } from "../../data/windows.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import type { ForwardOptions } from "../../nn/attention.ts";
import { apply } from "../../tensor/op.ts";
import { biasedCrossEntropy, linearCrossEntropy } from "../../tensor/ops/cross-entropy.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TrainedRows } from "./trained-rows.ts";
import { trainedRows } from "./trained-rows.ts";

/** Token ids of a batch and, for each, the token that follows; perhaps several texts a row. */
export interface TokenBatch extends Windows {
  /** Where rows hold several texts that must not see each other. */
  readonly packing?: Packing;
}

/**
 * Next-token prediction: L = −1/n Σᵢ log p(uᵢ | u₁ … uᵢ₋₁), in nats, over the n targets that are not negative. Hidden
 * states that have no target do not go through the output layer.
 *
 * @see Radford et al. (2018), equation 1.
 */
export function nextTokenLoss(
  model: LanguageModel,
  tokens: TokenBatch,
  random: Random | null,
  options: Pick<ForwardOptions, "recompute"> = {},
): Tensor {
  const { batch, time, packing } = tokens;
  const ids = Tensor.from(model.backend, tokens.inputs, [batch, time]);
  const packed = packing && {
    positions: packing.positions,
    mask: { causal: true, firstKeys: packing.firstKeys },
  };
  const hidden = model.forward(ids, { random, ...packed, ...options }); // [batch, time, width]
  return tokenLoss(model, trainedRows(hidden, tokens.targets));
}

/** Cross-entropy of the output layer on hidden states that have targets. */
export function tokenLoss(
  { outputWeight, outputBias }: Pick<LanguageModel, "outputWeight" | "outputBias">,
  { hidden, targets, scale }: TrainedRows,
): Tensor {
  return outputBias
    ? apply(biasedCrossEntropy, [hidden, outputWeight, outputBias], { targets, scale })
    : apply(linearCrossEntropy, [hidden, outputWeight], { targets, scale });
}

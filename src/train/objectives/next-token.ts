import type { Random } from "../../core/random.ts";
import type { Packing } from "../../data/chat-rows.ts";
import type { TokenBatch as Windows } from "../../data/windows.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import type { ForwardOptions } from "../../nn/attention.ts";
import { apply } from "../../tensor/op.ts";
import { linearCrossEntropy } from "../../tensor/ops/cross-entropy.ts";
import { Tensor } from "../../tensor/tensor.ts";

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
  const hidden = model.forward(ids, { random, ...packed, ...options }).reshape([batch * time, -1]); // [batch · time, width]
  const trained = Int32Array.from(tokens.targets.keys()).filter((i) => (tokens.targets[i] ?? -1) >= 0);
  const scale = 1 / Math.max(trained.length, 1);
  if (trained.length === batch * time || trained.length === 0) {
    const targets = Tensor.from(model.backend, tokens.targets, [batch * time]);
    return apply(linearCrossEntropy, [hidden, model.outputWeight], { targets, scale });
  }
  const chosen = hidden.gatherRows(Tensor.from(model.backend, trained, [trained.length])); // [trained, width]
  const targets = Tensor.from(
    model.backend,
    trained.map((i) => tokens.targets[i] ?? 0),
    [trained.length],
  );
  return apply(linearCrossEntropy, [chosen, model.outputWeight], { targets, scale });
}

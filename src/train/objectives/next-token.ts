import type { Random } from "../../core/random.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { apply } from "../../tensor/op.ts";
import { linearCrossEntropy } from "../../tensor/ops/cross-entropy.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** Token ids of a batch and, for each, the token that follows. Negative targets are not trained on. */
export interface TokenBatch {
  /** `[batch · time]` */
  readonly inputs: Int32Array;
  /** `[batch · time]` */
  readonly targets: Int32Array;
  readonly batch: number;
  readonly time: number;
}

/**
 * Next-token prediction: L = −1/n Σᵢ log p(uᵢ | u₁ … uᵢ₋₁), in nats, over the n targets that are not negative.
 *
 * @see Radford et al. (2018), equation 1.
 */
export function nextTokenLoss(model: LanguageModel, tokens: TokenBatch, random: Random | null): Tensor {
  const { batch, time } = tokens;
  const ids = Tensor.from(model.backend, tokens.inputs, [batch, time]);
  const hidden = model.forward(ids, { random }); // [batch, time, width]
  const targets = Tensor.from(model.backend, tokens.targets, [batch * time]);
  const count = tokens.targets.reduce((n, target) => n + (target >= 0 ? 1 : 0), 0);
  const rows = hidden.reshape([batch * time, -1]); // [batch · time, width]
  return apply(linearCrossEntropy, [rows, model.outputWeight], { targets, scale: 1 / Math.max(count, 1) });
}

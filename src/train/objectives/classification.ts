import { Tensor } from "../../tensor/tensor.ts";

/**
 * Cross-entropy of a classifier, in nats: L = −1/n Σᵢ log softmax(zᵢ)[yᵢ].
 *
 * Shapes: logits `[n, classes]`, labels `[n]` → scalar.
 */
export function classificationLoss(logits: Tensor, labels: Int32Array): Tensor {
  return logits
    .logSoftmax()
    .pick(Tensor.from(logits.backend, labels, [labels.length]))
    .mean()
    .neg();
}

import type { LanguageModel } from "../../models/language-model.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TrainedRows } from "./trained-rows.ts";

/**
 * What label smoothing adds to a cross-entropy: ε of each target's weight is spread over all V tokens alike, so that the
 * loss (1 − ε)·(−log p(y)) + ε/V·Σᵥ −log p(v) is −log p(y) + ε·(z_y − mean z) for logits z. The mean logit is that of
 * the mean row of the output layer: the logits of all tokens never exist.
 *
 * @see Szegedy et al. (2016), "Rethinking the Inception architecture", section 7, arXiv:1512.00567; Vaswani et al.
 * (2017), section 5.4.
 */
export function smoothingTerm(
  { outputWeight, outputBias }: Pick<LanguageModel, "outputWeight" | "outputBias">,
  { hidden, targets, scale }: TrainedRows,
  epsilon: number,
): Tensor {
  const [rows, vocabulary] = [hidden.axis(0), outputWeight.axis(0)];
  const shares = Tensor.full(hidden.backend, [1, vocabulary], 1 / vocabulary);
  const difference = outputWeight.gatherRows(targets).sub(shares.matmul(outputWeight)); // [rows, width]
  const ofWeights = hidden.mul(difference).sum(-1); // [rows]
  if (!outputBias) return ofWeights.sum().mul(epsilon * scale);
  const column = outputBias.reshape([vocabulary, 1]);
  const ofBias = column
    .gatherRows(targets)
    .reshape([rows])
    .sub(shares.matmul(column).reshape([1]));
  return ofWeights
    .add(ofBias)
    .sum()
    .mul(epsilon * scale);
}

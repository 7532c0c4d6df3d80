import { unitVectors } from "../../models/unit-vectors.ts";
import { concat } from "../../tensor/ops/movement.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { classificationLoss } from "./classification.ts";

/** What is taken from the logit of a candidate that is no negative: its share of the softmax is 0. */
const away = -1e9;

/**
 * In-batch negatives: each anchor is to find its positive, candidate of the same number, among all candidates, which are
 * other anchors' positives and negatives. L = −1/n Σᵢ log softmaxⱼ(s · cos(aᵢ, cⱼ))[i], s the inverse of a temperature.
 *
 * Shapes: anchors `[n, width]`, candidates `[n + more, width]`; `isNegative(i, j)` is false where candidate j ≠ i is right
 * for anchor i, too → scalar.
 *
 * @see van den Oord et al. (2018), "Representation learning with contrastive predictive coding" (InfoNCE), equation 4,
 * arXiv:1807.03748; Henderson et al. (2017), section 4.4, arXiv:1705.00652 (multiple negatives ranking).
 */
export function inBatchLoss(
  anchors: Tensor,
  candidates: Tensor,
  scale: number,
  isNegative: (anchor: number, candidate: number) => boolean = () => true,
): Tensor {
  const [rows, columns] = [anchors.axis(0), candidates.axis(0)];
  const cosines = unitVectors(anchors).matmul(unitVectors(candidates), { transposeB: true });
  const fence = Float32Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return i === j || isNegative(i, j) ? 0 : away;
  });
  const own = Int32Array.from({ length: rows }, (_, i) => i);
  const logits = cosines.mul(scale);
  const fenced = fence.every((value) => value === 0)
    ? logits
    : logits.add(Tensor.from(anchors.backend, fence, [rows, columns]));
  return classificationLoss(fenced, own);
}

/** Added to each difference, as PyTorch's `pairwise_distance` does, so that equal vectors have a gradient. */
const nudge = 1e-6;

/**
 * Triplets: 1/n Σ max(‖a − p‖ − ‖a − n‖ + margin, 0).
 *
 * Shapes: three times `[n, width]` → scalar.
 *
 * @see Reimers and Gurevych (2019), section 3, "Triplet objective function", arXiv:1908.10084.
 */
export function tripletLoss(anchors: Tensor, positives: Tensor, negatives: Tensor, margin: number): Tensor {
  const distance = (others: Tensor): Tensor => anchors.sub(others).add(nudge).map("square").sum(1).map("sqrt");
  return distance(positives).sub(distance(negatives)).add(margin).map("relu").mean();
}

/** Cosines of the rows of two matrices. Shapes: twice `[n, width]` → `[n]`. */
export function cosines(first: Tensor, second: Tensor): Tensor {
  return unitVectors(first).mul(unitVectors(second)).sum(1);
}

/** Scores as cosines: 1/n Σ (cos(a, b) − y)². Shapes: twice `[n, width]`, scores `[n]` → scalar. */
export function cosineLoss(first: Tensor, second: Tensor, scores: Float32Array): Tensor {
  const target = Tensor.from(first.backend, scores, [scores.length]);
  return cosines(first, second).sub(target).map("square").mean();
}

/**
 * Scores as an order: log(1 + Σ exp(s · (cos i − cos j))) over all pairs i, j of which i has the lower score.
 *
 * Shapes: twice `[n, width]`, scores `[n]` → scalar.
 *
 * @see Huang et al. (2024), "CoSENT: Consistent sentence embedding via similarity ranking", IEEE/ACM TASLP 32.
 */
export function cosentLoss(first: Tensor, second: Tensor, scores: Float32Array, scale: number): Tensor {
  const values = cosines(first, second).mul(scale).reshape([-1, 1]);
  const order = [...scores.keys()].flatMap((i) =>
    [...scores.keys()].filter((j) => (scores[i] ?? 0) < (scores[j] ?? 0)).map((j) => [i, j] as const),
  );
  if (order.length === 0) return values.sum().mul(0);
  const rowsOf = (side: 0 | 1): Tensor =>
    values.gatherRows(
      Tensor.from(
        first.backend,
        Int32Array.from(order, (pair) => pair[side]),
        [order.length],
      ),
    );
  const gaps = rowsOf(0).sub(rowsOf(1)).reshape([1, -1]);
  const logits = concat([Tensor.from(first.backend, [0], [1, 1]), gaps], 1);
  // The first logit is 0: its share of the softmax is one over the sum.
  return logits
    .logSoftmax()
    .pick(Tensor.from(first.backend, Int32Array.of(0), [1]))
    .sum()
    .neg();
}

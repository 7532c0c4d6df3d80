import { Tensor } from "../../tensor/tensor.ts";

/** What stands for an answer that a question does not have: its probability is 0. */
const absent = -1e30;

/**
 * Scores of the answers of each question side by side, so that a softmax can choose.
 *
 * Shapes: scores `[answers of all questions]`, counts `[questions]` → `[questions, most answers]`.
 */
export function choiceLogits(scores: Tensor, counts: Int32Array): Tensor {
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const rows = new Int32Array(counts.length * most).fill(-1); // a negative row gives zero
  const mask = new Float32Array(rows.length).fill(absent);
  let next = 0;
  counts.forEach((count, question) => {
    for (let i = question * most; i < question * most + count; i++) {
      rows[i] = next++;
      mask[i] = 0;
    }
  });
  const ids = Tensor.from(scores.backend, rows, [rows.length]);
  const shape = [counts.length, most];
  return scores
    .reshape([-1, 1])
    .gatherRows(ids)
    .reshape(shape)
    .add(Tensor.from(scores.backend, mask, shape));
}

/**
 * The sum of the vectors of both orders of each pair, h(a, b) + h(b, a).
 *
 * Shapes: summaries `[2 · pairs, width]`, the two orders of a pair behind each other → `[pairs, width]`.
 *
 * @see Radford et al. (2018), section 3.3.
 */
export function sumOfOrders(summaries: Tensor): Tensor {
  return summaries.reshape([-1, 2, summaries.axis(1)]).sum(1);
}

/** Mean squared error: 1/n Σᵢ (sᵢ − yᵢ)². Shapes: scores and targets `[n]` → scalar. */
export function scoreLoss(scores: Tensor, targets: Float32Array): Tensor {
  const difference = scores.sub(Tensor.from(scores.backend, targets, [targets.length]));
  return difference.map("square").mean();
}

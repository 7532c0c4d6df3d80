import { asInTraining } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { MeasuredLoss, Metrics, MicroBatch } from "./run.ts";

/**
 * What a model, as it is, loses on micro-batches, and what is measured beside it, each weighing by its share:
 * `eval_loss` and `eval_` before each name. No gradient is kept; nothing where there are no batches.
 */
export async function sharedLoss<Batch>(
  batches: Iterable<MicroBatch<Batch>>,
  loss: (batch: Batch) => MeasuredLoss,
): Promise<Metrics> {
  const sums: Metrics = {};
  for (const { batch, share } of batches) {
    const measured = asInTraining(() =>
      tensorScope(() => {
        const result = loss(batch);
        return { loss: result.loss, ...result.metrics };
      }),
    );
    for (const [name, value] of Object.entries<Tensor>(measured)) {
      sums[`eval_${name}`] = (sums[`eval_${name}`] ?? 0) + (await value.item()) * share;
      value.release();
    }
  }
  return sums;
}

/**
 * What a model, as it is, loses on batches of one size, and the means of what is measured beside it: `eval_loss` and
 * `eval_` before each name. No gradient is kept; nothing where there are no batches.
 */
export async function meanLoss<Batch>(
  batches: Iterable<Batch>,
  loss: (batch: Batch) => Tensor | MeasuredLoss,
): Promise<Metrics> {
  const sums: Metrics = {};
  let count = 0;
  for (const batch of batches) {
    const measured = asInTraining(() =>
      tensorScope(() => {
        const result = loss(batch);
        return result instanceof Tensor ? { loss: result } : { loss: result.loss, ...result.metrics };
      }),
    );
    for (const [name, value] of Object.entries<Tensor>(measured)) {
      sums[`eval_${name}`] = (sums[`eval_${name}`] ?? 0) + (await value.item());
      value.release();
    }
    count += 1;
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / count]));
}

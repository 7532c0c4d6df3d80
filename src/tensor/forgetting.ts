import { tapeLength } from "./op.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `body` and keeps nothing of what it made but the result: the backward pass computes each value once more, if and
 * when a gradient asks for it. Costs less than one more forward pass of `body`, for what only the result was made of is
 * not computed again.
 *
 * What `body` computes without a tape, where nothing before is trained, stays until the backward pass.
 *
 * @see Chen et al. (2016), "Training deep nets with sublinear memory cost", arXiv:1604.06174.
 */
export function forgetting(body: () => Tensor): Tensor {
  const start = tapeLength();
  const result = body();
  const seen = new Set<Tensor>([result]);
  const pending = [result];
  for (let tensor = pending.pop(); tensor; tensor = pending.pop()) {
    // In this order: a view of the result has its memory, and so does what it is a view of.
    if (tensor.storage !== result.storage) tensor.forgetAll();
    for (const input of tensor.node?.inputs ?? []) {
      if (!input?.node || input.node.order < start || seen.has(input)) continue;
      seen.add(input);
      pending.push(input);
    }
  }
  return result;
}

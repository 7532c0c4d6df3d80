import { backwardFrom } from "./autograd.ts";
import { record, willRecord, withGradients, withoutGradients } from "./op.ts";
import { tensorScope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `body` on `x` keeping only x and the result: the backward pass runs it once more to have its activations.
 * Costs one more forward pass of `body`, and saves what it would have held.
 *
 * `body` must compute the same both times: a generator it draws from has to be restored to the same state. Parameters
 * that it uses get their gradients as usual.
 *
 * @see Chen et al. (2016), "Training deep nets with sublinear memory cost", arXiv:1604.06174.
 */
export function recomputed(body: (x: Tensor) => Tensor, x: Tensor): Tensor {
  if (!willRecord([x])) return body(x);
  const out = tensorScope(() => withoutGradients(() => body(x)));
  record(out, [x], [], (dy) => [
    () => {
      const leaf = x.detach();
      leaf.requiresGrad = true;
      tensorScope(() =>
        backwardFrom(
          withGradients(() => body(leaf)),
          dy.copy(),
        ),
      );
      return leaf.grad as Tensor;
    },
  ]);
  return out;
}

import { backwardFrom } from "./autograd.ts";
import { asInTraining, record, willRecord, withGradients } from "./op.ts";
import { tensorScope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `body` on `inputs` keeping only them and the result: the backward pass runs it once more to have its activations.
 * Costs one more forward pass of `body`, and saves what it would have held.
 *
 * `body` must compute the same both times: a generator it draws from has to be restored to the same state. Parameters
 * that it uses get their gradients as usual; every other tensor that a gradient shall flow to has to be an input.
 *
 * @see Chen et al. (2016), "Training deep nets with sublinear memory cost", arXiv:1604.06174.
 */
export function recomputed<Inputs extends readonly [Tensor, ...Tensor[]]>(
  body: (...inputs: Inputs) => Tensor,
  ...inputs: Inputs
): Tensor {
  if (!willRecord(inputs)) return body(...inputs);
  const out = tensorScope(() => asInTraining(() => body(...inputs)));
  record(out, inputs, (dy) => {
    // One more pass gives the gradients of all inputs, when the first is wanted.
    let leaves: readonly Tensor[] | null = null;
    const run = (): readonly Tensor[] => {
      const own = inputs.map((input) => Object.assign(input.detach(), { requiresGrad: input.requiresGrad }));
      tensorScope(() =>
        backwardFrom(
          withGradients(() => body(...(own as unknown as Inputs))),
          dy.copy(),
        ),
      );
      return own;
    };
    return inputs.map((input, i) => () => {
      leaves ??= run();
      return leaves[i]?.grad ?? input.filled(input.shape, 0);
    });
  });
  return out;
}

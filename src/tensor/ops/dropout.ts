import type { Draw } from "../../core/random.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Sets each element to 0 with probability `rate` and divides the others by 1 − rate. The same draw drops the same
 * elements on every backend.
 * Gradient: the same elements of dy.
 *
 * @see Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
 */
export const dropout: Op<[x: Tensor], { rate: number; draw: Draw }> = defineOp({
  name: "dropout",
  infer: ([x]) => x.shape,
  run: (kernels, [x], out, { rate, draw }) => kernels.dropout(x, rate, draw, out),
  again: () => dropout.run,
  grad: (dy, { kernels }, { rate, draw }) => [
    () => {
      const dx = dy.blank();
      kernels.dropout(dy, rate, draw, dx);
      return dx;
    },
  ],
});

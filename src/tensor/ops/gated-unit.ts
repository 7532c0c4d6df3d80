import type { Activation } from "../../backend/functions.ts";
import { ShapeError } from "../../core/errors.ts";
import { formatShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Gated linear unit after its two linear maps, which one packed product has computed: y = f(gate) ⊙ value.
 * With f = SiLU it is SwiGLU, with GELU it is GEGLU.
 *
 * Shapes: x `[…, 2 · width]`, gate before value → y `[…, width]`.
 * Gradient: dgate = dy ⊙ value ⊙ f′(gate), dvalue = dy ⊙ f(gate).
 *
 * @throws {ShapeError} when the last axis is not even.
 * @see Shazeer (2020), "GLU variants improve Transformer", equation 5, arXiv:2002.05202.
 */
export const gatedUnit: Op<[x: Tensor], { readonly activation: Activation }> = defineOp({
  name: "gatedUnit",
  fused: ["gatedUnit", "gatedUnitGrad"],
  infer([x]) {
    if (x.axis(-1) % 2 !== 0) {
      throw new ShapeError(`gatedUnit: x ${formatShape(x.shape)} must hold gate and value side by side, an even width`);
    }
    return x.shape.with(-1, x.axis(-1) / 2);
  },
  run: (kernels, [x], out, { activation }) => kernels.gatedUnit(activation, x, out),
  again: () => gatedUnit.run,
  grad: (dy, { inputs: [x], kernels }, { activation }) => [
    () => {
      const dx = x.blank();
      kernels.gatedUnitGrad(activation, x, dy, dx);
      return dx;
    },
  ],
  compose([x], { activation }) {
    const width = x.axis(-1) / 2;
    return x
      .slice(-1, 0, width)
      .map(activation)
      .mul(x.slice(-1, width, 2 * width));
  },
});

import { ShapeError } from "../../core/errors.ts";
import { formatShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./movement.ts";

/** By how much each pair of dimensions turns at each position. */
export interface RotaryAngles {
  /** `[positions, headDim / 2]`: cosines of the angles. */
  readonly cos: Tensor;
  /** `[positions, headDim / 2]`: their sines. */
  readonly sin: Tensor;
  /** int32 `[batch · time]`: position of each token; its place in the sequence without. */
  readonly positions: Tensor | null;
}

/** Which part of a row turns, and by how much. */
export interface RotaryAttrs extends RotaryAngles {
  /** Leading heads that turn; the rest of each row passes unchanged. */
  readonly heads: number;
}

/**
 * Rotary positions: dimensions i and i + headDim/2 of a head are the coordinates of a point that turns by the angle
 * m·θᵢ at position m, so that the product of a query and a key depends on their distance only.
 * (a, b) → (a cos mθᵢ − b sin mθᵢ, b cos mθᵢ + a sin mθᵢ).
 *
 * Shapes: x `[batch, time, width]`, of which the first heads · headDim turn → same shape.
 * Gradient: dy turned back.
 *
 * @throws {ShapeError} when the heads do not fit into a row, or the tables are shorter than the sequence.
 * @see Su et al. (2021), "RoFormer", equation 15, arXiv:2104.09864. The paper pairs neighbours (2i, 2i + 1); this is the
 * layout of model folders, which pairs the halves.
 */
export const rotary: Op<[x: Tensor], RotaryAttrs> = defineOp({
  name: "rotary",
  fused: ["rotary"],
  unread: { inputs: true, output: true },
  infer([x], { cos, heads, positions }) {
    const turned = heads * 2 * cos.axis(1);
    const fits = positions ? positions.size === x.axis(0) * x.axis(1) : cos.axis(0) >= x.axis(1);
    if (x.shape.length !== 3 || turned > x.axis(2) || !fits) {
      throw new ShapeError(
        `rotary: ${heads} heads with tables ${formatShape(cos.shape)} do not fit x ${formatShape(x.shape)}` +
          `${positions ? ` at ${positions.size} positions` : ""}`,
      );
    }
    return x.shape;
  },
  run: (kernels, [x], out, attrs) => kernels.rotary({ ...attrs, x, out, inverse: false }),
  grad: (dy, { kernels }, attrs) => [
    () => {
      // Nothing else reads dy: it turns back in place.
      kernels.rotary({ ...attrs, x: dy, out: dy, inverse: true });
      return dy;
    },
  ],
  compose([x], { cos, sin, heads, positions }) {
    const [batch, time, width] = [x.axis(0), x.axis(1), x.axis(2)];
    const half = cos.axis(1);
    const turned = heads * 2 * half;
    const at = (table: Tensor): Tensor =>
      positions
        ? table.gatherRows(positions).reshape([batch, time, 1, 1, half])
        : table.slice(0, 0, time).reshape([time, 1, 1, half]);
    const [c, s] = [at(cos), at(sin)];
    const pairs = x.slice(2, 0, turned).reshape([batch, time, heads, 2, half]);
    const [a, b] = [pairs.slice(3, 0, 1), pairs.slice(3, 1, 2)]; // [batch, time, heads, 1, half]
    const rotated = concat([a.mul(c).sub(b.mul(s)), b.mul(c).add(a.mul(s))], 3).reshape([batch, time, turned]);
    return turned === width ? rotated : concat([rotated, x.slice(2, turned, width)], 2);
  },
});

import { apply } from "../tensor/op.ts";
import { linear } from "../tensor/ops/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/**
 * A change of a frozen matrix that has a low rank: ΔW = s · B · A. B starts at 0, so that nothing changes at first.
 *
 * @see Hu et al. (2022), "LoRA: Low-rank adaptation of large language models", section 4.1, arXiv:2106.09685.
 */
export class LowRank {
  /** `[rank, in]` */
  readonly a: Parameter;
  /** `[out, rank]` */
  readonly b: Parameter;
  /** s: α / rank. */
  readonly scale: number;

  /** A starts with normal numbers of variance 1 / in. */
  constructor(weight: Tensor, rank: number, alpha: number, init: Initializer) {
    const [outputs, inputs] = [weight.axis(0), weight.axis(1)];
    this.a = init.normal([rank, inputs], 1 / Math.sqrt(inputs));
    this.b = init.constant([outputs, rank], 0);
    this.scale = alpha / rank;
  }

  /** x `[…, in]` → s · x · Aᵀ, `[…, rank]`: the change of a result is this times Bᵀ. */
  reduce(x: Tensor): Tensor {
    return apply(linear, [x, this.a, null, null], { activation: null }).mul(this.scale);
  }

  /** A copy of the matrix with the change added to it. */
  merged(weight: Tensor): Tensor {
    const { kernels } = weight.backend;
    const out = weight.copy();
    const scaled = this.b.copy();
    kernels.affine(scaled, this.scale, 0, scaled);
    const [m, n, k] = [weight.axis(0), weight.axis(1), this.a.axis(0)];
    const plain = { batch: 1, transposeA: false, transposeB: false, batchStrideA: 0, batchStrideB: 0 };
    kernels.matmul({ ...plain, a: scaled, b: this.a, out, m, n, k, accumulate: true });
    scaled.release();
    return out;
  }
}

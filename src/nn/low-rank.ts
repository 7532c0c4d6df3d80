import type { Random } from "../core/random.ts";
import { apply } from "../tensor/op.ts";
import { linear } from "../tensor/ops/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dropOut } from "./dropout.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** How a {@link LowRank} begins. */
export interface LowRankStart {
  readonly rank: number;
  readonly alpha: number;
  /** Share of its inputs dropped in training; 0 without. */
  readonly dropout?: number;
}

/** Whether a parameter at some path of a model is an adapter's: those have files of their own. */
export function isAdapterPath(path: string): boolean {
  return path.includes(".adapter.");
}

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

  readonly #dropout: number;

  /** A starts with normal numbers of variance 1 / in. */
  constructor(weight: Tensor, { rank, alpha, dropout = 0 }: LowRankStart, init: Initializer) {
    const [outputs, inputs] = [weight.axis(0), weight.axis(1)];
    this.a = init.normal([rank, inputs], 1 / Math.sqrt(inputs));
    this.b = init.constant([outputs, rank], 0);
    this.scale = alpha / rank;
    this.#dropout = dropout;
  }

  /** x `[…, in]` → s · dropout(x) · Aᵀ, `[…, rank]`: the change of a result is this times Bᵀ. */
  reduce(x: Tensor, random: Random | null): Tensor {
    const input = dropOut(x, this.#dropout, random);
    return apply(linear, [input, this.a, null, null], { activation: null }).mul(this.scale);
  }

  /** A copy of some rows of the matrix, from `firstRow` on, with their change added to them. */
  merged(weight: Tensor, firstRow = 0): Tensor {
    const { kernels } = weight.backend;
    const out = weight.copy();
    const [m, n, k] = [weight.axis(0), weight.axis(1), this.a.axis(0)];
    const scaled = this.b.window(firstRow * k, [m, k]).copy();
    kernels.affine(scaled, this.scale, 0, scaled);
    const plain = { batch: 1, transposeA: false, transposeB: false, batchStrideA: 0, batchStrideB: 0 };
    kernels.matmul({ ...plain, a: scaled, b: this.a, out, m, n, k, accumulate: true });
    scaled.release();
    return out;
  }
}

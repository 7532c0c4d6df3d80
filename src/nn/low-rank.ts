import type { Random } from "../core/random.ts";
import { apply, withoutGradients } from "../tensor/op.ts";
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
  return path.includes(".adapter.") || path.includes(".added.");
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

  constructor(a: Parameter, b: Parameter, scale: number, dropout = 0) {
    this.a = a;
    this.b = b;
    this.scale = scale;
    this.#dropout = dropout;
  }

  /** One that is to be trained: A starts with normal numbers of variance 1 / in. */
  static start(weight: Tensor, { rank, alpha, dropout = 0 }: LowRankStart, init: Initializer): LowRank {
    const [outputs, inputs] = [weight.axis(0), weight.axis(1)];
    const a = init.normal([rank, inputs], 1 / Math.sqrt(inputs));
    return new LowRank(a, init.constant([outputs, rank], 0), alpha / rank, dropout);
  }

  /** x `[…, in]` → s · dropout(x) · Aᵀ, `[…, rank]`: the change of a result is this times Bᵀ. */
  reduce(x: Tensor, random: Random | null): Tensor {
    const input = dropOut(x, this.#dropout, random);
    return apply(linear, [input, this.a, null, null], { activation: null }).mul(this.scale);
  }

  /** Adds the change to some rows of the matrix, or a copy of them, from `firstRow` on. */
  addTo(rows: Tensor, firstRow = 0): void {
    const rank = this.a.axis(0);
    addLowRank(rows, this.a, this.b.window(firstRow * rank, [rows.axis(0), rank]), this.scale);
  }
}

/**
 * matrix += scale · b · a, in 32 bits whatever precision the backend's products have.
 *
 * Shapes: matrix `[out, in]`, a `[rank, in]`, b `[out, rank]`.
 */
export function addLowRank(matrix: Tensor, a: Tensor, b: Tensor, scale: number): void {
  const { kernels } = matrix.backend;
  const [outputs, inputs] = [matrix.axis(0), matrix.axis(1)];
  const columns = withoutGradients(() => b.permute([1, 0])); // [rank, out]
  kernels.affine(columns, scale, 0, columns);
  const change = matrix.blank();
  for (let i = 0; i < a.axis(0); i++) {
    kernels.binary("mul", columns.window(i * outputs, [outputs, 1]), a.window(i * inputs, [1, inputs]), change);
    kernels.accumulate(change, matrix);
  }
  columns.release();
  change.release();
}

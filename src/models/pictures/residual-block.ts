import type { Random } from "../../core/random.ts";
import { Convolution } from "../../nn/convolution.ts";
import { dropOut } from "../../nn/dropout.ts";
import { GroupNorm } from "../../nn/group-norm.ts";
import { Linear } from "../../nn/linear.ts";
import type { Initializer } from "../../nn/parameters.ts";
import { usedOnce } from "../../nn/used-once.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** Sizes of a {@link ResidualBlock}. */
export interface ResidualBlockOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Width of what it is told of the time; null where there is none. */
  readonly timeWidth: number | null;
  readonly groups: number;
  readonly epsilon: number;
  readonly dropout: number;
}

/**
 * Two convolutions, each behind a group norm and SiLU, around which the picture goes by: x + conv(silu(norm(conv(silu(norm
 * x)) + time))). The second convolution starts at 0.
 */
export class ResidualBlock {
  readonly norm1: GroupNorm;
  readonly conv1: Convolution;
  readonly timeProjection: Linear | null;
  readonly norm2: GroupNorm;
  readonly conv2: Convolution;
  /** Where the channels change. */
  readonly shortcut: Convolution | null;
  readonly #dropout: number;

  constructor({ inputs, outputs, timeWidth, dropout, ...rule }: ResidualBlockOptions, init: Initializer) {
    this.norm1 = new GroupNorm(inputs, rule, init);
    this.conv1 = new Convolution({ inputs, outputs, taps: 3 }, init);
    const standardDeviation = 1 / Math.sqrt(3 * (timeWidth ?? 1));
    this.timeProjection =
      timeWidth === null ? null : new Linear(timeWidth, outputs, { bias: true, standardDeviation }, init);
    this.norm2 = new GroupNorm(outputs, rule, init);
    this.conv2 = new Convolution({ inputs: outputs, outputs, taps: 3, startsAtZero: true }, init);
    this.shortcut = inputs === outputs ? null : new Convolution({ inputs, outputs, taps: 1 }, init);
    this.#dropout = dropout;
  }

  /** x `[batch, height, width, in]`, time `[batch, timeWidth]` → `[batch, height, width, out]`. */
  forward(x: Tensor, time: Tensor | null, random: Random | null): Tensor {
    const first = usedOnce(this.norm1.forward(x, "silu"), (normal) => this.conv1.forward(normal));
    const told = this.timeProjection && time ? this.timeProjection.forward(time) : null;
    const moved = told ? usedOnce(first, (y) => y.add(told.reshape([told.axis(0), 1, 1, told.axis(1)]))) : first;
    const normal = dropOut(this.norm2.forward(moved, "silu"), this.#dropout, random);
    const change = usedOnce(normal, (y) => this.conv2.forward(y));
    return change.add(this.shortcut ? this.shortcut.forward(x) : x);
  }
}

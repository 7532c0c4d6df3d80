import { Linear } from "../../nn/linear.ts";
import type { Initializer } from "../../nn/parameters.ts";
import { concat } from "../../tensor/ops/movement.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** How a moment of a diffusion becomes numbers. */
export interface TimeWaves {
  /** Cosines before sines. */
  readonly cosinesFirst: boolean;
  /** Taken off the number of frequencies that the slowest is counted by: 0, or 1 for one that is exactly 10⁻⁴. */
  readonly frequencyShift: number;
}

/**
 * Waves of falling frequency: of t, cos(t · 10⁻⁴ⁱ⁄⁽ʰ⁻ˢ⁾) and sin of the same, for i below h = width / 2.
 *
 * Shapes: times `[batch]` → `[batch, width]`.
 *
 * @see Ho et al. (2020), "Denoising diffusion probabilistic models", appendix B, arXiv:2006.11239.
 */
export function timeWaves(times: Tensor, width: number, { cosinesFirst, frequencyShift }: TimeWaves): Tensor {
  const half = width / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(10_000) * i) / (half - frequencyShift)),
  );
  const angles = times.reshape([-1, 1]).mul(Tensor.from(times.backend, frequencies, [1, half]));
  const [cosines, sines] = [angles.map("cos"), angles.map("sin")];
  return concat(cosinesFirst ? [cosines, sines] : [sines, cosines], -1);
}

/** What blocks are told of a moment: waves through two linear layers with SiLU between, and SiLU behind. */
export class TimeEmbedding {
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly #width: number;
  readonly #waves: TimeWaves;

  constructor(width: number, outputs: number, waves: TimeWaves, init: Initializer) {
    const layer = (inputs: number): Linear =>
      new Linear(inputs, outputs, { bias: true, standardDeviation: 1 / Math.sqrt(3 * inputs) }, init);
    this.linear1 = layer(width);
    this.linear2 = layer(outputs);
    this.#width = width;
    this.#waves = waves;
  }

  /** times `[batch]` → `[batch, outputs]`. */
  forward(times: Tensor): Tensor {
    const hidden = this.linear1.forward(timeWaves(times, this.#width, this.#waves), { activation: "silu" });
    return this.linear2.forward(hidden, { activation: "silu" });
  }
}

import { apply } from "../tensor/op.ts";
import { lstm } from "../tensor/ops/lstm.ts";
import { linear } from "../tensor/ops/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** What a recurrent layer knows of what it has read, both `[batch, width]`. */
export interface LstmState {
  readonly hidden: Tensor;
  readonly cells: Tensor;
}

/** The states after each step, both `[time, batch, width]`. */
export interface LstmStates {
  readonly hidden: Tensor;
  readonly cells: Tensor;
}

/**
 * A layer of long short-term memory. The input weights meet all steps in one product; only the recurrent ones wait for
 * the step before. Both biases are added to the same sums; there are two because folders written by PyTorch have two.
 *
 * @see {@link lstm}
 */
export class LstmLayer {
  /** `[4 · width, width]`: rows of the input, forget, candidate and output gate. */
  readonly inputWeight: Parameter;
  /** `[4 · width, width]` */
  readonly recurrentWeight: Parameter;
  /** `[4 · width]` */
  readonly inputBias: Parameter;
  /** `[4 · width]` */
  readonly recurrentBias: Parameter;

  /**
   * Forget gates start open, with a bias of 1.
   *
   * @see Jozefowicz et al. (2015), "An empirical exploration of recurrent network architectures".
   */
  constructor(width: number, standardDeviation: number, init: Initializer) {
    this.inputWeight = init.normal([4 * width, width], standardDeviation);
    this.recurrentWeight = init.normal([4 * width, width], standardDeviation);
    this.inputBias = init.constant([4 * width], 0);
    this.recurrentBias = init.constant([4 * width], 0);
    this.inputBias.backend.kernels.fill(this.inputBias.window(width, [width]), 1);
  }

  /** x `[time, batch, width]` and the state before it (zeros without) → the states after each step. */
  forward(x: Tensor, before: LstmState | null): LstmStates {
    const bias = this.inputBias.add(this.recurrentBias);
    const sums = apply(linear, [x, this.inputWeight, bias, null], { activation: null }); // [time, batch, 4 · width]
    const start = (state: Tensor | undefined): Tensor => state ?? x.filled(x.shape.slice(1), 0);
    const states = [start(before?.hidden), start(before?.cells)] as const;
    const both = apply(lstm, [sums, this.recurrentWeight, ...states], undefined); // [2, time, batch, width]
    const half = (i: number): Tensor => both.slice(0, i, i + 1).reshape(x.shape);
    return { hidden: half(0), cells: half(1) };
  }
}

import type { Activation } from "../backend/functions.ts";
import { apply } from "../tensor/op.ts";
import type { Padding } from "../tensor/ops/conv2d.ts";
import { conv2d } from "../tensor/ops/conv2d.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** Sizes of a {@link Convolution}. */
export interface ConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Rows and columns of a filter. */
  readonly taps: number;
  /** Default 1. */
  readonly stride?: number;
  /** Zeros around the picture; on all sides half a filter when left out, so that a stride of 1 keeps the size. */
  readonly padding?: Padding;
  /** Starts with filters of 0: where it is the last of a branch, the branch is not there at first. */
  readonly startsAtZero?: boolean;
}

/** Two-dimensional convolution with a bias. Filters start with variance 1 / (3 · inputs of a sum), as PyTorch's do. */
export class Convolution {
  /** `[out, taps, taps, in]` */
  readonly weight: Parameter;
  /** `[out]` */
  readonly bias: Parameter;
  readonly #stride: number;
  readonly #padding: Padding;

  constructor({ inputs, outputs, taps, startsAtZero = false, ...options }: ConvolutionOptions, init: Initializer) {
    const shape = [outputs, taps, taps, inputs];
    const before = (taps - 1) >> 1;
    this.weight = startsAtZero ? init.constant(shape, 0) : init.normal(shape, 1 / Math.sqrt(3 * taps * taps * inputs));
    this.bias = init.constant([outputs], 0);
    this.#stride = options.stride ?? 1;
    this.#padding = options.padding ?? { top: before, left: before, bottom: taps >> 1, right: taps >> 1 };
  }

  /** x `[batch, height, width, in]` → `[batch, ⌈height / stride⌉, ⌈width / stride⌉, out]`. */
  forward(x: Tensor, activation: Activation | null = null): Tensor {
    return apply(conv2d, [x, this.weight, this.bias], { stride: this.#stride, padding: this.#padding, activation });
  }
}

import type { Parameter } from "../nn/parameters.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * A running average of weights beside those that are trained: a ← d·a + (1 − d)·θ after each update, with
 * d = min(decay, (1 + n) / (10 + n)) at update n, so that the first weights are soon forgotten.
 *
 * @see Polyak & Juditsky (1992); the rising decay is that of `tf.train.ExponentialMovingAverage`, and of diffusers'.
 */
export class WeightAverage {
  readonly decay: number;
  readonly #parameters: ReadonlyMap<string, Parameter>;
  readonly #averages: ReadonlyMap<string, Tensor>;
  /** Updates averaged; set when a run goes on. */
  step = 0;

  /** Averages those of the parameters that are trained, and begins as they are. */
  constructor(parameters: ReadonlyMap<string, Parameter>, decay: number) {
    this.decay = decay;
    this.#parameters = new Map([...parameters].filter(([, { requiresGrad }]) => requiresGrad));
    this.#averages = new Map([...this.#parameters].map(([name, parameter]) => [name, parameter.copy().keep()]));
  }

  /** Takes in the parameters as they are now. */
  update(): void {
    this.step += 1;
    const [parameters, averages] = [[...this.#parameters.values()], [...this.#averages.values()]];
    const decay = Math.min(this.decay, (1 + this.step) / (10 + this.step));
    parameters[0]?.backend.kernels.average({ averages, parameters, decay });
  }

  /** Puts the averages where the parameters are, and these where the averages were; twice is as before. */
  exchange(): void {
    for (const [name, average] of this.#averages) {
      const parameter = this.#parameters.get(name) as Parameter;
      tensorScope(() => {
        const before = parameter.copy();
        parameter.backend.kernels.affine(average, 1, 0, parameter);
        parameter.backend.kernels.affine(before, 1, 0, average);
      });
    }
  }

  /** Runs `body` with the averages in the parameters' places, whatever comes of it. */
  async during<Result>(body: () => Promise<Result>): Promise<Result> {
    this.exchange();
    try {
      return await body();
    } finally {
      this.exchange();
    }
  }

  /** The averages by name, `<parameter>.average`: what a checkpoint holds beside {@link step}. */
  state(): Map<string, Tensor> {
    return new Map([...this.#averages].map(([name, average]) => [`${name}.average`, average]));
  }
}

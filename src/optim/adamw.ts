import type { Parameter } from "../nn/parameters.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Optimizer } from "./optimizer.ts";

/** Constants of {@link AdamW}. */
export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  /** Added to √(second moment). */
  readonly epsilon: number;
  /** Share of a matrix taken away at each step, times the learning rate. Vectors (gains, biases) do not decay. */
  readonly weightDecay: number;
  /**
   * Multiplies the learning rate by the root mean square of each parameter (10⁻³ at least): for models whose weights
   * begin at very different sizes, as T5's do.
   *
   * @see Shazeer & Stern (2018), "Adafactor", section 8, arXiv:1804.04235; with Adam: Nawrot (2023), "nanoT5",
   * arXiv:2309.02373.
   */
  readonly scaleByParameter?: boolean;
}

/** Below it parameters count as of this size, so that those which begin at 0 can grow; ε₂ of Adafactor. */
const smallestScale = 1e-3;

/** What one parameter has of its own: a group of parameters is those that are told the same. */
export interface ParameterRates {
  /** The learning rate is multiplied by it; 0 leaves the parameter as it is. Default 1. */
  readonly rate?: number;
  /** In place of {@link AdamWSettings.weightDecay}, for a vector, too. */
  readonly weightDecay?: number;
}

/** One trained parameter with its two moments. */
interface Slot {
  readonly parameter: Parameter;
  readonly rate: number;
  readonly weightDecay: number;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
}

/**
 * Adam with decoupled weight decay:
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − α(m̂ / (√v̂ + ε) + λθ).
 *
 * @see Loshchilov & Hutter (2019), "Decoupled weight decay regularization", algorithm 2, arXiv:1711.05101. As in
 * PyTorch, the decay is multiplied by the learning rate.
 */
export class AdamW implements Optimizer {
  readonly settings: AdamWSettings;
  readonly #slots: ReadonlyMap<string, Slot>;
  /** Updates made. */
  step = 0;

  /**
   * Only parameters that require a gradient take part.
   *
   * @param ratesOf - What a parameter has of its own, such as a slower rate for lower layers.
   */
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    settings: AdamWSettings,
    ratesOf: (name: string, parameter: Parameter) => ParameterRates = () => ({}),
  ) {
    this.settings = settings;
    const trained = [...parameters].filter(([, parameter]) => parameter.requiresGrad);
    const slots = trained.map(([name, parameter]): [string, Slot] => {
      const { rate = 1, weightDecay = parameter.shape.length > 1 ? settings.weightDecay : 0 } = ratesOf(
        name,
        parameter,
      );
      return [name, { ...newMoments(parameter), parameter, rate, weightDecay }];
    });
    this.#slots = new Map(slots);
  }

  parameters(): ReadonlyMap<string, Parameter> {
    return new Map([...this.#slots].map(([name, slot]) => [name, slot.parameter]));
  }

  update(learningRate: number, gradientScale: Tensor): void {
    this.step += 1;
    const slots = [...this.#slots.values()].filter(({ parameter }) => parameter.grad !== null);
    const { beta1, beta2, epsilon, scaleByParameter = false } = this.settings;
    tensorScope(() =>
      gradientScale.backend.kernels.adamw({
        parameters: slots.map((slot) => slot.parameter),
        gradients: slots.map((slot) => slot.parameter.grad as Tensor),
        firstMoments: slots.map((slot) => slot.firstMoment),
        secondMoments: slots.map((slot) => slot.secondMoment),
        weightDecays: slots.map((slot) => slot.weightDecay),
        rateScales: rateScales(slots, scaleByParameter),
        ...{ learningRate, beta1, beta2, epsilon, step: this.step, gradientScale },
      }),
    );
  }

  clearGradients(): void {
    for (const { parameter } of this.#slots.values()) {
      parameter.grad?.release();
      parameter.grad = null;
    }
  }

  /** The moments by name, `<parameter>.firstMoment` and `<parameter>.secondMoment`. */
  state(): Map<string, Tensor> {
    const named = [...this.#slots].flatMap(([name, { firstMoment, secondMoment }]): [string, Tensor][] => [
      [`${name}.firstMoment`, firstMoment],
      [`${name}.secondMoment`, secondMoment],
    ]);
    return new Map(named);
  }
}

/** `[parameters]`: what the learning rate of each is multiplied by; null is 1 for all. */
function rateScales(slots: readonly Slot[], scaleByParameter: boolean): Tensor | null {
  const [first] = slots;
  if (!first) return null;
  const isEven = slots.every(({ rate }) => rate === 1);
  if (isEven && !scaleByParameter) return null;
  const own = Tensor.from(
    first.parameter.backend,
    Float32Array.from(slots, ({ rate }) => rate),
    [slots.length],
  );
  return scaleByParameter ? rootMeanSquares(slots.map(({ parameter }) => parameter)).mul(own) : own;
}

/** `[parameters]`: √(mean of the squares) of each, {@link smallestScale} at least. */
function rootMeanSquares(parameters: readonly Parameter[]): Tensor {
  const [{ backend }] = parameters as readonly [Parameter];
  return tensorScope(() => {
    const norms = Tensor.empty(backend, [parameters.length]);
    for (const [i, parameter] of parameters.entries()) backend.kernels.globalNorm([parameter], norms.window(i, []));
    const shares = Float32Array.from(parameters, ({ size }) => 1 / Math.sqrt(size));
    return norms.mul(Tensor.from(backend, shares, [parameters.length])).maximum(smallestScale);
  });
}

function newMoments(parameter: Parameter): Pick<Slot, "firstMoment" | "secondMoment"> {
  const moment = (): Tensor => Tensor.full(parameter.backend, parameter.shape, 0).keep();
  return { firstMoment: moment(), secondMoment: moment() };
}

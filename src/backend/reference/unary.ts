import type { UnaryKind } from "../functions.ts";

/** A function of one number, and its derivative. */
export interface UnaryFunction {
  readonly value: (x: number) => number;
  readonly slope: (x: number) => number;
}

const sqrt2OverPi = Math.sqrt(2 / Math.PI);

/** Every kind of the contract, in float64. */
export const unaryFunctions: Record<UnaryKind, UnaryFunction> = {
  abs: { value: Math.abs, slope: Math.sign },
  cos: { value: Math.cos, slope: (x) => -Math.sin(x) },
  exp: { value: Math.exp, slope: Math.exp },
  gelu: {
    value: (x) => x * normalCdf(x),
    slope: (x) => normalCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  },
  geluTanh: {
    value: (x) => 0.5 * x * (1 + Math.tanh(sqrt2OverPi * (x + 0.044715 * x ** 3))),
    slope(x) {
      const t = Math.tanh(sqrt2OverPi * (x + 0.044715 * x ** 3));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt2OverPi * (1 + 3 * 0.044715 * x * x);
    },
  },
  log: { value: Math.log, slope: (x) => 1 / x },
  // log σ(x) = −log(1 + e⁻ˣ); the exponent is kept negative so that it cannot overflow.
  logSigmoid: { value: (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), slope: (x) => sigmoid(-x) },
  quickGelu: {
    value: (x) => x * sigmoid(1.702 * x),
    slope: (x) => sigmoid(1.702 * x) * (1 + 1.702 * x * sigmoid(-1.702 * x)),
  },
  relu: { value: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0) },
  rsqrt: { value: (x) => 1 / Math.sqrt(x), slope: (x) => -0.5 / (x * Math.sqrt(x)) },
  sigmoid: { value: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
  sin: { value: Math.sin, slope: Math.cos },
  sqrt: { value: Math.sqrt, slope: (x) => 0.5 / Math.sqrt(x) },
  square: { value: (x) => x * x, slope: (x) => 2 * x },
  tanh: { value: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
};

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Φ(x), the standard normal distribution function. */
function normalCdf(x: number): number {
  return 0.5 * erfc(-x / Math.SQRT2);
}

/** Complementary error function, 1 − erf(x), to a few units of float64 rounding relative to its value. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (Number.isNaN(x)) return x;
  return x < 2 ? 1 - erfSeries(x) : erfcFraction(x);
}

/** erf(x) = 2/√π · x e^(−x²) · Σₙ (2x²)ⁿ / (1·3·5···(2n+1)): all terms positive, so nothing cancels. For 0 ≤ x < 2. */
function erfSeries(x: number): number {
  let term = 1;
  let sum = 1;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x) * sum;
}

/** erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))), the continued fraction cut off at depth 80. For x ≥ 2. */
function erfcFraction(x: number): number {
  if (x > 28) return 0; // below the smallest float64
  let tail = x;
  for (let n = 80; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}

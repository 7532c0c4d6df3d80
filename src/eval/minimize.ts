/** A function of several numbers that gives its value and its gradient. */
export type Differentiable = (at: readonly number[]) => {
  readonly value: number;
  readonly gradient: readonly number[];
};

/** Where a search ended. */
export interface Minimum {
  readonly at: readonly number[];
  readonly value: number;
}

/** Armijo's and the weak Wolfe condition's shares of the slope. */
const [sufficient, curvature] = [1e-4, 0.9];

/**
 * A local minimum by BFGS with a line search for the weak Wolfe conditions, which also serves functions with kinks
 * (Lewis & Overton, 2013). Ends where no step along the direction makes the value smaller, or after `maxSteps`.
 *
 * @see Nocedal & Wright (2006), "Numerical optimization", algorithm 6.1.
 */
export function minimize(f: Differentiable, start: readonly number[], maxSteps = 1000): Minimum {
  let at = start;
  let { value, gradient } = f(at);
  let inverse: number[][] | null = null;
  for (let step = 0; step < maxSteps; step++) {
    const length = Math.sqrt(dot(gradient, gradient));
    if (length === 0) break;
    const direction: number[] =
      inverse === null ? gradient.map((g) => (-0.01 * g) / length) : inverse.map((row) => -dot(row, gradient));
    const next = lineSearch(f, at, value, gradient, direction);
    if (next === null) {
      if (inverse === null) break;
      inverse = null; // once more, from the gradient alone
      continue;
    }
    const moved = plus(next.at, -1, at);
    const turned = plus(next.gradient, -1, gradient);
    inverse = updated(inverse, moved, turned);
    ({ at, value, gradient } = next);
  }
  return { at, value };
}

type Place = Minimum & { readonly gradient: readonly number[] };

/** A step that makes the value smaller by enough and the slope flatter; null where none is found. */
function lineSearch(
  f: Differentiable,
  at: readonly number[],
  value: number,
  gradient: readonly number[],
  direction: readonly number[],
): Place | null {
  const slope = dot(gradient, direction);
  if (!(slope < 0)) return null;
  let [low, high, step] = [0, Number.POSITIVE_INFINITY, 1];
  let best: Place | null = null;
  for (let tries = 0; tries < 50; tries++) {
    const place = plus(at, step, direction);
    const there = { at: place, ...f(place) };
    if (!(there.value < value + sufficient * step * slope)) high = step;
    else {
      best = there;
      if (dot(there.gradient, direction) >= curvature * slope) return there;
      low = step;
    }
    step = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
  }
  return best;
}

/** The approximation of the inverse Hessian after a step: equation 6.17, scaled at the first (6.20). */
function updated(inverse: number[][] | null, moved: readonly number[], turned: readonly number[]): number[][] | null {
  const along = dot(moved, turned);
  if (!(along > 0)) return inverse;
  const size = along / dot(turned, turned);
  const old = inverse ?? moved.map((_, i) => moved.map((_, j) => (i === j ? size : 0)));
  const product = old.map((row) => dot(row, turned));
  const factor = (1 + dot(turned, product) / along) / along;
  return old.map((row, i) => {
    const [step, change] = [moved[i] ?? 0, product[i] ?? 0];
    return plus(plus(row, factor * step - change / along, moved), -step / along, product);
  });
}

/** a + factor · b. */
export function plus(a: readonly number[], factor: number, b: readonly number[]): number[] {
  return a.map((x, i) => x + factor * (b[i] ?? 0));
}

/** Σ aᵢ bᵢ. */
export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
}

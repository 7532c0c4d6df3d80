// The searches by which ggml finds the scale of a small block. Every step is rounded to float32 in the order of its code,
// so that the bytes are the same.

const { fround, min, max, abs } = Math;

/** Numbers below which a block counts as zero. */
const tiny = fround(1e-15);

/** Rounds to the nearest whole number, ties to even, as adding a large float does. */
export function nearestInt(x: number): number {
  return fround(fround(x) + 12_582_912) - 12_582_912;
}

/** What a search finds beside the integers: what they are multiplied by, and what is taken from the product. */
export interface FoundBlock {
  scale: number;
  minimum: number;
}

/** How far {@link searchScaleAndMinimum} goes from the range of a block: `first + step · i`, for i up to `steps`. */
export interface SearchSteps {
  readonly first: number;
  readonly step: number;
  readonly steps: number;
}

const trial = new Uint8Array(32);

/**
 * x ≈ scale · q − minimum with q in 0 … `largest`: scales around that of the block's range are tried, each with the scale and
 * minimum of least squares for the integers that it gives, and the one of the least weighted error is kept.
 *
 * @param weights - How much the error of each number counts.
 * @param quanta - Gets the integers.
 */
export function searchScaleAndMinimum(
  x: Float32Array,
  weights: Float32Array,
  { largest, first, step, steps }: SearchSteps & { readonly largest: number },
  quanta: Uint8Array,
  found: FoundBlock,
): void {
  const n = x.length;
  let [low, high] = [x[0] as number, x[0] as number];
  let sumW = weights[0] as number;
  let sumX = fround(sumW * (x[0] as number));
  for (let i = 1; i < n; i++) {
    const [value, w] = [x[i] as number, weights[i] as number];
    low = min(low, value);
    high = max(high, value);
    sumW = fround(sumW + w);
    sumX = fround(sumX + fround(w * value));
  }
  low = min(low, 0);
  found.minimum = -low;
  found.scale = 0;
  if (high === low) {
    quanta.fill(0);
    return;
  }
  const simple = fround(largest / fround(high - low));
  found.scale = fround(1 / simple);
  roundAll(x, low, simple, largest, quanta);
  let best = errorOf(x, weights, quanta, found.scale, low);
  for (let i = 0; i <= steps; i++) {
    // The lowest number is by now the best fit's.
    const inverse = fround(fround(fround(first + fround(step * i)) + largest) / fround(high - low));
    roundAll(x, low, inverse, largest, trial);
    const fit = leastSquares(x, weights, trial, sumW, sumX);
    if (fit === null) continue;
    const error = errorOf(x, weights, trial, fit.scale, fit.low);
    if (error >= best) continue;
    best = error;
    quanta.set(trial.subarray(0, n));
    found.scale = fit.scale;
    low = fit.low;
  }
  found.minimum = -low;
}

function roundAll(x: Float32Array, low: number, inverse: number, largest: number, to: Uint8Array): void {
  for (let i = 0; i < x.length; i++) {
    const position = inverse * fround((x[i] as number) - low);
    to[i] = position > 0 ? nearestInt(min(position, largest)) : 0; // infinite or NaN where the range is none
  }
}

function errorOf(x: Float32Array, weights: Float32Array, quanta: Uint8Array, scale: number, low: number): number {
  let error = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = fround(fround(fround(scale * (quanta[i] as number)) + low) - (x[i] as number));
    error = fround(error + fround((weights[i] as number) * fround(difference * difference)));
  }
  return error;
}

const fitted = { scale: 0, low: 0 };

/** Scale and offset of least weighted squares for given integers, the offset at most 0; null where all are the same. */
function leastSquares(
  x: Float32Array,
  weights: Float32Array,
  quanta: Uint8Array,
  sumW: number,
  sumX: number,
): { readonly scale: number; readonly low: number } | null {
  let [sumQ, sumQq, sumXq] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const q = quanta[i] as number;
    const wq = fround((weights[i] as number) * q);
    sumQ = fround(sumQ + wq);
    sumQq = fround(sumQq + fround(wq * q));
    sumXq = fround(sumXq + fround(wq * (x[i] as number)));
  }
  const determinant = fround(fround(sumW * sumQq) - fround(sumQ * sumQ));
  if (!(determinant > 0)) return null;
  fitted.scale = fround(fround(fround(sumW * sumXq) - fround(sumX * sumQ)) / determinant);
  fitted.low = fround(fround(fround(sumQq * sumX) - fround(sumQ * sumXq)) / determinant);
  if (fitted.low > 0) {
    fitted.low = 0;
    fitted.scale = fround(sumXq / sumQq);
  }
  return fitted;
}

/**
 * x ≈ scale · q with q in −`half` … `half` − 1: nineteen scales around that of the number of largest magnitude are tried, and
 * the one that explains most of the squares, weighted by themselves, is kept. Returns it.
 */
export function searchScale(x: Float32Array, half: number): number {
  let [largest, magnitude] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    if (abs(value) > magnitude) [largest, magnitude] = [value, abs(value)];
  }
  if (magnitude < tiny) return 0;
  sumProducts(x, half, fround(-half / largest));
  let scale = sums.qq === 0 ? 0 : fround(sums.xq / sums.qq);
  let best = fround(scale * sums.xq);
  for (let i = -9; i <= 9; i++) {
    if (i === 0) continue;
    sumProducts(x, half, fround(-fround(half + fround(tenth * i)) / largest));
    if (!(sums.qq > 0 && fround(sums.xq * sums.xq) > fround(best * sums.qq))) continue;
    scale = fround(sums.xq / sums.qq);
    best = fround(scale * sums.xq);
  }
  return scale;
}

const tenth = fround(0.1);
const sums = { xq: 0, qq: 0 };

function sumProducts(x: Float32Array, half: number, inverse: number): void {
  let [xq, qq] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    const q = max(-half, min(half - 1, nearestInt(inverse * value)));
    const w = fround(value * value);
    xq = fround(xq + fround(fround(w * value) * q));
    qq = fround(qq + fround(fround(w * q) * q));
  }
  sums.xq = xq;
  sums.qq = qq;
}

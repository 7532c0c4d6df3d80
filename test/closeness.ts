import { expect } from "vitest";

/** How far two numbers may be apart: |actual − expected| ≤ absolute + relative · |expected|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** Room for the rounding of a few float64 operations. */
export const exactly: Tolerance = { absolute: 1e-12, relative: 1e-12 };

/** Room for the rounding of a few float32 operations. */
export const nearly: Tolerance = { absolute: 1e-6, relative: 1e-5 };

/**
 * Describes the first element that is too far from what was expected, or gives null. Infinities and NaN must be met
 * exactly.
 */
export function firstDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute, relative }: Tolerance,
): string | null {
  if (actual.length !== expected.length) return `${actual.length} elements, expected ${expected.length}`;
  const isFar = (i: number): boolean => {
    const [a, b] = [actual[i]!, expected[i]!];
    return !(Object.is(a, b) || a === b || Math.abs(a - b) <= absolute + relative * Math.abs(b));
  };
  const far = Array.from({ length: expected.length }, (_, i) => i).filter(isFar);
  const [first] = far;
  if (first === undefined) return null;
  const [a, b] = [actual[first], expected[first]];
  return `element ${first} is ${a}, expected ${b} ± ${absolute + relative * Math.abs(b!)}; ${far.length} of ${expected.length} differ`;
}

/** Fails, naming the first element that is too far from what was expected. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance = exactly,
): void {
  expect(firstDifference(actual, expected, tolerance)).toBeNull();
}

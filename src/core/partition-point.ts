/**
 * How many places from 0 on a condition holds for, by halving: of `length` places it has to hold for some from the first
 * on, and for none behind them.
 */
export function partitionPoint(length: number, holds: (place: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

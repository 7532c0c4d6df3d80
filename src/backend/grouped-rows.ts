import { DataError } from "../core/errors.ts";
import { elementCount } from "../core/shape.ts";
import type { FusedKernels } from "./fused-kernels.ts";
import type { Kernels, Matmul } from "./kernels.ts";
import type { View } from "./storage.ts";

/**
 * A stable counting sort; see `sortByGroup` of the kernels.
 *
 * @throws {DataError} when a group does not exist.
 */
export function sortedByGroup(choices: readonly Int32Array[], groups: number): Int32Array {
  const rows = choices[0]?.length ?? 0;
  const total = choices.length * rows;
  const next = startOfEach(choices, groups);
  const out = new Int32Array(3 * total);
  for (const [choice, groupOf] of choices.entries()) {
    for (const [row, group] of groupOf.entries()) {
      const place = next[group] ?? 0;
      next[group] = place + 1;
      out[place] = row;
      out[total + place] = choice * rows + row;
      out[2 * total + place] = group;
    }
  }
  return out;
}

/** Place of the first row of each group. */
function startOfEach(choices: readonly Int32Array[], groups: number): Int32Array {
  const counts = new Int32Array(groups);
  for (const group of choices.flatMap((groupOf) => [...groupOf])) {
    if (!(group >= 0 && group < groups)) throw new DataError(`sortByGroup: group ${group} is not below ${groups}`);
    counts[group] = (counts[group] ?? 0) + 1;
  }
  let sum = 0;
  return counts.map((count) => {
    sum += count;
    return sum - count;
  });
}

/** A product of one pair of matrices, and nothing else. */
export type PlainProduct = Pick<Matmul, "a" | "b" | "out" | "m" | "n" | "k" | "transposeA" | "transposeB">;

/** What {@link groupedProducts} are made of. */
export interface GroupedParts {
  /** Products that do not depend on each other; `roundsRows` as of all products. */
  readonly multiplyAll: (products: readonly PlainProduct[], roundsRows: boolean) => void;
  readonly fill: Kernels["fill"];
  /** The numbers of an int32 view. */
  readonly read: (view: View) => Int32Array;
}

/**
 * Grouped products for backends whose JavaScript can read integers at once: one matrix product for the rows of each
 * group.
 */
export function groupedProducts({
  multiplyAll,
  fill,
  read,
}: GroupedParts): Pick<FusedKernels, "groupedLinear" | "groupedLinearGrad"> {
  return {
    groupedLinear({ x, weight, groupOf, out, roundsRows = false }) {
      const [, n = 0, k = 0] = weight.shape;
      multiplyAll(
        groupRanges(read(groupOf), weight).map(({ group, start, count: m }) => {
          const operands = { a: part(x, start * k), b: part(weight, group * n * k), out: part(out, start * n) };
          return { ...operands, m, n, k, transposeA: false, transposeB: true };
        }),
        roundsRows,
      );
    },
    groupedLinearGrad({ x, weight, groupOf, dy, dx, dWeight }) {
      const [groups = 0, width = 0, inner = 0] = weight.shape;
      const ranges = groupRanges(read(groupOf), weight);
      multiplyAll(
        ranges.flatMap(({ group, start, count }) => {
          const [a, own] = [part(dy, start * width), group * width * inner];
          const products: PlainProduct[] = [];
          if (dx) {
            const sizes = { m: count, n: inner, k: width, transposeA: false, transposeB: false };
            products.push({ a, b: part(weight, own), out: part(dx, start * inner), ...sizes });
          }
          if (dWeight) {
            const sizes = { m: width, n: inner, k: count, transposeA: true, transposeB: false };
            products.push({ a, b: part(x, start * inner), out: part(dWeight, own), ...sizes });
          }
          return products;
        }),
        false,
      );
      const seen = new Set(ranges.map(({ group }) => group));
      for (let group = 0; dWeight && group < groups; group++) {
        if (!seen.has(group)) fill({ ...part(dWeight, group * width * inner), shape: [width, inner] }, 0);
      }
    },
  };
}

/** The view from some element of it on. */
function part(view: View, start: number): View {
  return { storage: view.storage, offset: view.offset + start, shape: [elementCount(view.shape) - start] };
}

interface GroupRange {
  readonly group: number;
  readonly start: number;
  readonly count: number;
}

/** The stretches of equal numbers in an ascending list, without the groups that have no rows. */
function groupRanges(groupOf: Int32Array, weight: View): GroupRange[] {
  const ranges: GroupRange[] = [];
  for (let start = 0; start < groupOf.length; ) {
    const group = groupOf[start] ?? 0;
    if (!(group >= 0 && group < (weight.shape[0] ?? 0))) {
      throw new DataError(`groupedLinear: group ${group} is not below ${weight.shape[0]}`);
    }
    let end = start + 1;
    while (groupOf[end] === group) end++;
    ranges.push({ group, start, count: end - start });
    start = end;
  }
  return ranges;
}

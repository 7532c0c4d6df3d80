import { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** How distances between tokens fall into buckets. */
export interface RelativeBuckets {
  readonly buckets: number;
  /** From this distance on, all are alike. */
  readonly maxDistance: number;
  /** Distances forwards have buckets of their own, half of all; without, everything ahead is as near as itself. */
  readonly bidirectional: boolean;
}

/**
 * Bucket of a key at `distance` = its position − the query's: near ones each alone, far ones in groups that grow with
 * the logarithm of the distance.
 *
 * @see Raffel et al. (2020), section 2.1, arXiv:1910.10683.
 */
export function relativeBucket(distance: number, { buckets, maxDistance, bidirectional }: RelativeBuckets): number {
  const count = bidirectional ? Math.floor(buckets / 2) : buckets;
  const offset = bidirectional && distance > 0 ? count : 0;
  const away = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const exact = Math.floor(count / 2);
  if (away < exact) return offset + away;
  // In float32, as where folders come from: a distance on the border of two buckets must fall to the same side.
  const ratio = Math.fround(Math.fround(Math.log(Math.fround(away / exact))) / Math.log(maxDistance / exact));
  return offset + Math.min(exact + Math.floor(Math.fround(ratio * (count - exact))), count - 1);
}

/** What attention scores gain or lose by the distance of a key, for each head; learned, and shared by all blocks. */
export class RelativeBias {
  /** `[buckets, heads]` */
  readonly table: Parameter;
  readonly #buckets: RelativeBuckets;

  constructor(heads: number, buckets: RelativeBuckets, standardDeviation: number, init: Initializer) {
    this.table = init.normal([buckets.buckets, heads], standardDeviation);
    this.#buckets = buckets;
  }

  /**
   * Bias of queries at `start`, `start` + 1, … for keys from 0 on: `[heads, queries, keys]`.
   *
   * @param renew - Where queries start in a later pass like this one; see `PassCapture`.
   */
  forward(start: number, queries: number, keys: number, renew?: () => number): Tensor {
    const bucketsFrom = (first: number): Int32Array => {
      const ofDistance = Array.from({ length: queries + keys - 1 }, (_, i) =>
        relativeBucket(i - (queries - 1) - first, this.#buckets),
      );
      return Int32Array.from({ length: queries * keys }, (_, i) => {
        const [query, key] = [Math.floor(i / keys), i % keys];
        return ofDistance[key - query + queries - 1] ?? 0;
      });
    };
    const next = renew && ((): Int32Array => bucketsFrom(renew()));
    const ids = Tensor.given(this.table.backend, bucketsFrom(start), [queries, keys], next);
    return this.table.gatherRows(ids).permute([2, 0, 1]);
  }
}

import { mean } from "../core/mean.ts";

/** Ranks of the same answers by two judges; smaller is better, equal ones are ties. */
type Ranks = readonly number[];

/** A sum over pairs of answers, and how many pairs there were. */
export interface PairCount {
  readonly agreed: number;
  readonly pairs: number;
}

/**
 * How far two judges agree on pairs of answers: 1 where they prefer the same one or both call them equal, ½ where one of
 * them calls them equal, else 0.
 */
export function pairAgreement(a: Ranks, b: Ranks): PairCount {
  const signs = pairSigns(a, b);
  const agreed = signs.reduce((sum, [x, y]) => sum + 1 - Math.abs(x - y) / 2, 0);
  return { agreed, pairs: signs.length };
}

/**
 * Kendall's τ-b: (P − Q) / √((P + Q + Tₐ)(P + Q + T_b)), with P pairs in the same order, Q in the opposite one, and Tₐ, T_b
 * those that only a, only b calls equal. Null where one of them calls all equal.
 *
 * @see Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33.
 */
export function kendallTauB(a: Ranks, b: Ranks): number | null {
  const signs = pairSigns(a, b);
  const dot = signs.reduce((sum, [x, y]) => sum + x * y, 0);
  const size = (side: 0 | 1): number => signs.filter((pair) => pair[side] !== 0).length;
  const scale = Math.sqrt(size(0) * size(1));
  return scale === 0 ? null : dot / scale;
}

/** How far judges agree over many rankings. */
export interface Agreement {
  /** Sets of answers that both ranked. */
  readonly rankings: number;
  readonly pairs: number;
  /** Share of pairs on which they agree, ties counted half; null where there are none. */
  readonly pairwise: number | null;
  /** Mean of Kendall's τ-b where it is defined; null where it is nowhere. */
  readonly tauB: number | null;
}

/** Agreement of two judges, given the ranks that each gave to the same answers. */
export function agreementOf(rankings: readonly (readonly [Ranks, Ranks])[]): Agreement {
  const counts = rankings.map(([a, b]) => pairAgreement(a, b));
  const pairs = counts.reduce((sum, count) => sum + count.pairs, 0);
  const agreed = counts.reduce((sum, count) => sum + count.agreed, 0);
  const taus = rankings.map(([a, b]) => kendallTauB(a, b)).filter((tau) => tau !== null);
  return {
    rankings: rankings.length,
    pairs,
    pairwise: pairs === 0 ? null : agreed / pairs,
    tauB: taus.length === 0 ? null : mean(taus),
  };
}

/** Whether the place on screen decides: how often the answer shown first was called best. */
export interface FirstShown {
  readonly rankings: number;
  /** Share of rankings; one of m answers that are best together counts 1/m. Null where there are none. */
  readonly share: number | null;
  /** What it would be if the place did not matter: the mean of 1/K. */
  readonly expected: number | null;
}

/** {@link FirstShown} of rankings that say in which order their answers were shown; others do not count. */
export function firstShown(
  rankings: readonly { readonly ranks: Ranks; readonly shown?: readonly number[] | undefined }[],
): FirstShown {
  const seen = rankings.flatMap(({ ranks, shown }) => {
    const first = ranks[shown?.[0] ?? -1];
    if (first === undefined) return [];
    const best = Math.min(...ranks);
    const equal = ranks.filter((rank) => rank === best).length;
    return [{ credit: first === best ? 1 / equal : 0, chance: 1 / ranks.length }];
  });
  if (seen.length === 0) return { rankings: 0, share: null, expected: null };
  return {
    rankings: seen.length,
    share: mean(seen.map(({ credit }) => credit)),
    expected: mean(seen.map(({ chance }) => chance)),
  };
}

/** Of every pair of answers, what each judge says: −1, 0 or 1. */
function pairSigns(a: Ranks, b: Ranks): [number, number][] {
  return a.flatMap((first, i) =>
    a.slice(i + 1).map((second, offset): [number, number] => {
      const j = i + 1 + offset;
      return [Math.sign(second - first), Math.sign((b[j] ?? 0) - (b[i] ?? 0))];
    }),
  );
}

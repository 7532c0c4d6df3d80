import type { MergeOrder } from "./merge-table.ts";

/** One merge of byte-pair encoding: the pieces `at` and `at + 1`, counted when it happens, become one. */
export interface MergeStep {
  readonly at: number;
  /** Place in the order of merges; lower ones are first. */
  readonly rank: number;
  /** The token that they make. */
  readonly id: number;
}

/** How a stretch of text, usually a word, became tokens. */
export interface CutWord {
  /** The stretch as the tokenizer sees it: normalized, its space marked. */
  readonly text: string;
  readonly ids: readonly number[];
  /** Where pieces merge: what there was at first, and the merges in the order in which they happen. */
  readonly merging: { readonly first: readonly number[]; readonly steps: readonly MergeStep[] } | null;
  /** Where the likeliest pieces are chosen: the log-probability of each token, in nats. */
  readonly scores: readonly number[] | null;
}

/** A stretch that becomes the tokens that it becomes, without a way that could be told. */
export function plainCut(text: string, ids: Iterable<number>): CutWord {
  return { text, ids: [...ids], merging: null, scores: null };
}

/**
 * As `mergeWord`, telling each merge. Time: quadratic.
 *
 * @param first - Ids of the word's smallest pieces.
 */
export function mergeSteps(text: string, first: Iterable<number>, merges: MergeOrder): CutWord {
  const ids = [...first];
  const start = [...ids];
  const steps: MergeStep[] = [];
  for (;;) {
    let [at, rank] = [-1, Infinity];
    for (let i = 0; i + 1 < ids.length; i++) {
      const handle = merges.find(ids[i]!, ids[i + 1]!);
      if (handle < 0 || merges.rank(handle) >= rank) continue;
      [at, rank] = [i, merges.rank(handle)];
    }
    if (at < 0) return { text, ids, merging: { first: start, steps }, scores: null };
    const id = merges.merged(merges.find(ids[at]!, ids[at + 1]!));
    ids.splice(at, 2, id);
    steps.push({ at, rank, id });
  }
}

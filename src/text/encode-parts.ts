import type { Tokenizer } from "./tokenizer.ts";

/**
 * Ids of a text, in parts that end at `cuts` and at the end of the text. What has been said before a cut is encoded as if
 * nothing followed, since nothing does when a model goes on from there; what follows gets the ids that it has in the whole
 * text. Only where the two disagree, as a token would reach across the cut, is what follows encoded by itself.
 *
 * @param cuts - Places in UTF-16 units, in order.
 * @returns one more list of ids than there are cuts.
 */
export function encodeParts(tokenizer: Tokenizer, text: string, cuts: readonly number[]): Int32Array[] {
  // Text before `from` is settled: what follows is encoded from there, and `known` are the ids from there to the last cut.
  let [from, last] = [0, 0];
  let known: Int32Array = new Int32Array(0);
  return [...cuts, text.length].map((cut) => {
    let ids = encodeFrom(tokenizer, text.slice(from, cut), from);
    if (!known.every((id, i) => ids[i] === id)) {
      [from, known] = [last, new Int32Array(0)];
      ids = encodeFrom(tokenizer, text.slice(from, cut), from);
    }
    const added = ids.slice(known.length);
    const settled = tokenizer.cutPoint(text.slice(from, cut));
    known = settled > 0 ? ids.slice(encodeFrom(tokenizer, text.slice(from, from + settled), from).length) : ids;
    [from, last] = [from + settled, cut];
    return added;
  });
}

function encodeFrom(tokenizer: Tokenizer, text: string, from: number): Int32Array {
  return tokenizer.encode(text, { continues: from > 0 });
}

/** A pair of tokens in a list of merges. */
type Merge = readonly [left: string, right: string];

/**
 * Scores from which ggml merges tokens: it joins the two neighbours whose token has the highest, the earlier a merge the
 * higher. Tokens that nothing merges into come after all.
 */
export function scoresOf(tokens: readonly string[], merges: readonly Merge[]): Float32Array {
  const ranks = new Map<string, number>();
  for (const [rank, [left, right]] of merges.entries()) {
    if (!ranks.has(left + right)) ranks.set(left + right, rank);
  }
  return Float32Array.from(tokens, (token) => -(ranks.get(token) ?? merges.length));
}

/**
 * Merges in the order that scores say: for each token every pair of tokens that makes it, by ids where scores are equal.
 * What they make of a text is what SentencePiece and ggml make of it.
 */
export function mergesOf(tokens: ReadonlyMap<string, number>, scores: ArrayLike<unknown>): Merge[] {
  const merges: { readonly pair: Merge; readonly score: number; readonly ids: readonly number[] }[] = [];
  for (const [token, id] of tokens) {
    const characters = [...token];
    for (let cut = 1; cut < characters.length; cut++) {
      const pair = [characters.slice(0, cut).join(""), characters.slice(cut).join("")] as const;
      const [left, right] = pair.map((part) => tokens.get(part));
      if (left === undefined || right === undefined) continue;
      merges.push({ pair, score: Number(scores[id]), ids: [id, left, right] });
    }
  }
  merges.sort((a, b) => b.score - a.score || compareIds(a.ids, b.ids));
  return merges.map(({ pair }) => pair);
}

/**
 * The parts of a `tokenizer.json` that say how spaces are written, with a space put before the text or not.
 *
 * @param first - Steps of the normalizer before that.
 */
export function spacesJson(
  addsSpace: boolean,
  first: readonly object[] = [],
): { normalizer: object; pre_tokenizer: null; decoder: object } {
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const unmark = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  const steps = [...first, ...(addsSpace ? [{ type: "Prepend", prepend: "▁" }] : []), mark];
  return {
    normalizer: steps.length > 1 ? { type: "Sequence", normalizers: steps } : mark,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: addsSpace ? [...unmark, { type: "Strip", content: " ", start: 1, stop: 0 }] : unmark,
    },
  };
}

function compareIds(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((id, i) => id !== b[i]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

import { PieceTrie } from "./piece-trie.ts";

/** How much less likely a character without a piece is than the least likely piece, in nats. */
const unknownPenalty = 10;

/** One piece of a segmentation: its number, and where in the text it begins and ends, in UTF-16 units. */
export interface PlacedPiece {
  readonly piece: number;
  readonly start: number;
  readonly end: number;
}

/**
 * All ways to cut text into pieces that occur independently of each other: the best of them, and how often each piece is
 * to be expected.
 *
 * @see Kudo (2018), "Subword Regularization", arXiv:1804.10959, section 3.2.
 */
export class UnigramLattice {
  readonly #trie = new PieceTrie();
  readonly #scores: Float64Array;
  readonly #unknown: number;
  readonly #unknownScore: number;

  /**
   * @param pieces - Pieces and their log-probabilities, in nats.
   * @param unknown - What stands for a character that is no piece.
   */
  constructor(pieces: readonly (readonly [piece: string, score: number])[], unknown: number) {
    this.#scores = Float64Array.from(pieces, ([, score]) => score);
    this.#unknown = unknown;
    this.#unknownScore = this.#scores.reduce((least, score) => Math.min(least, score), Infinity) - unknownPenalty;
    for (const [number, [piece]] of pieces.entries()) if (piece !== "") this.#trie.add(piece, number);
  }

  /**
   * The most likely segmentation of well-formed text. Of equally likely ones it is the one that the `tokenizers` library
   * finds: at each place the way that was found first, from earlier starts.
   *
   * @param excluded - A piece that is not to be used; none when left out.
   */
  best(text: string, excluded = -1): PlacedPiece[] {
    const scores = new Float64Array(text.length + 1);
    const starts = new Int32Array(text.length + 1).fill(-1);
    const pieces = new Int32Array(text.length + 1);
    this.#edges(text, excluded, (start, end, piece, score) => {
      const candidate = score + scores[start]!;
      if (starts[end] !== -1 && candidate <= scores[end]!) return;
      scores[end] = candidate;
      starts[end] = start;
      pieces[end] = piece;
    });
    const path: PlacedPiece[] = [];
    for (let end = text.length; end > 0; end = starts[end]!) {
      path.push({ piece: pieces[end]!, start: starts[end]!, end });
    }
    return path.reverse();
  }

  /**
   * Adds to `expected` how often each piece occurs in `count` copies of a text, over all segmentations by their
   * probability.
   *
   * @returns The log-probability of one copy, in nats.
   */
  addExpected(text: string, count: number, expected: Float64Array): number {
    const edges: { start: number; end: number; piece: number; score: number }[] = [];
    const forward = new Float64Array(text.length + 1).fill(-Infinity);
    forward[0] = 0;
    this.#edges(text, -1, (start, end, piece, score) => {
      edges.push({ start, end, piece, score });
      forward[end] = logSum(forward[end]!, forward[start]! + score);
    });
    const total = forward[text.length]!;
    const backward = new Float64Array(text.length + 1).fill(-Infinity);
    backward[text.length] = 0;
    for (const { start, end, piece, score } of edges.reverse()) {
      backward[start] = logSum(backward[start]!, backward[end]! + score);
      const share = Math.exp(forward[start]! + score + backward[end]! - total);
      expected[piece] = expected[piece]! + count * share;
    }
    return total;
  }

  /** Visits every piece at every place, by where it starts, then by its length. */
  #edges(
    text: string,
    excluded: number,
    visit: (start: number, end: number, piece: number, score: number) => void,
  ): void {
    for (let start = 0; start < text.length; ) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let hasCharacter = false;
      let node = 0;
      for (let end = start; end < text.length; ) {
        node = this.#trie.child(node, text.charCodeAt(end++));
        if (node === 0) break;
        const piece = this.#trie.pieceAt(node);
        if (piece < 0 || piece === excluded) continue;
        hasCharacter ||= end - start === width;
        visit(start, end, piece, this.#scores[piece]!);
      }
      if (!hasCharacter) visit(start, start + width, this.#unknown, this.#unknownScore);
      start += width;
    }
  }
}

/** log(eᵃ + eᵇ). */
function logSum(a: number, b: number): number {
  const [larger, smaller] = a > b ? [a, b] : [b, a];
  return smaller === -Infinity ? larger : larger + Math.log1p(Math.exp(smaller - larger));
}

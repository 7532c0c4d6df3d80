import type { Steps } from "../core/event-loop.ts";
import { checkTrainingSize } from "./tokenizer-trainer.ts";
import { UnigramLattice } from "./unigram-lattice.ts";
import type { CountedWord, WeightedPiece } from "./unigram-seeds.ts";
import { byWeight, seeding } from "./unigram-seeds.ts";

/** What is to be learnt. */
export interface LearningOptions {
  /** Pieces in all. */
  readonly pieces: number;
  /** Characters of the longest piece. */
  readonly longestPiece: number;
  /** Characters at most; words with rarer ones are left out. */
  readonly alphabetLimit: number;
}

/** Pieces to begin with, at most. */
const mostSeeds = 1_000_000;
/** Rounds of expectation and maximization between two prunings. */
const rounds = 2;
/** Share of the pieces that a pruning keeps. */
const kept = 0.75;
/** Pruning ends at this many times the pieces that are wanted; the last of them are then left out by probability. */
const reserve = 1.1;
/** Words or pieces that are one step. */
const often = 256;
/** Pieces that are expected to occur less often are dropped. */
const fewestExpected = 0.5;

/**
 * The pieces of a unigram model, most likely first, with log-probabilities in nats. Beginning with many frequent
 * substrings, it alternates between expectation-maximization and dropping the pieces whose loss costs the least
 * likelihood. Single characters stay, so that any text of these characters has tokens.
 *
 * As in SentencePiece and the `tokenizers` library, the maximization is the variational one of a Dirichlet prior (the
 * digamma function of expected counts), and a piece's loss is measured on the best segmentation, with the best way to
 * write the piece otherwise in its place.
 *
 * @throws {SettingsError} when the pieces cannot hold the characters.
 * @see Kudo (2018), arXiv:1804.10959, section 3.2; Liang and Klein (2007), "Structured Bayesian Nonparametric Models with
 * Variational Inference", section 2.2.
 */
export function* learningPieces(counted: readonly CountedWord[], options: LearningOptions): Steps<WeightedPiece[]> {
  const alphabet = commonCharacters(counted, options.alphabetLimit);
  checkTrainingSize(options.pieces, alphabet.size, "characters, beside the special tokens");
  const words = counted.filter(({ word }) => [...word].every((character) => alphabet.has(character)));
  let pieces = logShares(yield* seeding(words, options.longestPiece, mostSeeds));
  const enough = Math.max(options.pieces, Math.floor(options.pieces * reserve));
  for (;;) {
    for (let round = 0; round < rounds; round++) pieces = yield* reestimating(pieces, words);
    if (pieces.length <= enough) break;
    const fewer = yield* pruning(pieces, words, Math.max(enough, Math.floor(pieces.length * kept)));
    if (fewer.length === pieces.length) break;
    pieces = fewer;
  }
  return withAlphabet(pieces, alphabet, options.pieces);
}

/** The most frequent characters; of equally frequent ones those of lower code points. */
function commonCharacters(words: readonly CountedWord[], limit: number): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const { word, count } of words) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  return new Set(
    [...counts]
      .sort(byWeight)
      .map(([character]) => character)
      .slice(0, limit),
  );
}

/** Log-probabilities in proportion to weights. */
function logShares(pieces: readonly WeightedPiece[]): WeightedPiece[] {
  const total = pieces.reduce((sum, [, weight]) => sum + weight, 0);
  return pieces.map(([piece, weight]) => [piece, Math.log(weight / total)]);
}

/** A lattice whose unknown piece has the number after the last. */
function latticeOf(pieces: readonly WeightedPiece[]): UnigramLattice {
  return new UnigramLattice(pieces, pieces.length);
}

/** One round of expectation and maximization. */
function* reestimating(pieces: readonly WeightedPiece[], words: readonly CountedWord[]): Steps<WeightedPiece[]> {
  const lattice = latticeOf(pieces);
  const expected = new Float64Array(pieces.length + 1);
  for (const [i, { word, count }] of words.entries()) {
    lattice.addExpected(word, count, expected);
    if (i % often === 0) yield;
  }
  const frequent = pieces.flatMap(([piece], i) =>
    expected[i]! < fewestExpected ? [] : [[piece, expected[i]!] as const],
  );
  const total = digamma(frequent.reduce((sum, [, count]) => sum + count, 0));
  return frequent.map(([piece, count]) => [piece, digamma(count) - total]);
}

/** The `size` pieces without which the text would lose the most likelihood; those that nothing can replace among them. */
function* pruning(
  pieces: readonly WeightedPiece[],
  words: readonly CountedWord[],
  size: number,
): Steps<WeightedPiece[]> {
  const lattice = latticeOf(pieces);
  const uses = new Float64Array(pieces.length + 1);
  /** Occurrences of the words that have the piece. */
  const carriers = new Float64Array(pieces.length + 1);
  for (const [i, { word, count }] of words.entries()) {
    if (i % often === 0) yield;
    const path = lattice.best(word).map(({ piece }) => piece);
    for (const piece of path) uses[piece] = uses[piece]! + count;
    for (const piece of new Set(path)) carriers[piece] = carriers[piece]! + count;
  }
  const total = uses.reduce((sum, count) => sum + count, 0);
  const occurrences = words.reduce((sum, { count }) => sum + count, 0);
  const lossOf = (id: number, others: readonly number[]): number => {
    const count = uses[id]!;
    const share = Math.log(count / total);
    const newTotal = Math.log(total + count * (others.length - 1));
    const replaced = others.reduce((sum, other) => sum + Math.log(uses[other]! + count) - newTotal, 0);
    return (carriers[id]! / occurrences) * (share - replaced);
  };
  const staying: WeightedPiece[] = [];
  const candidates: { piece: WeightedPiece; loss: number }[] = [];
  for (const [id, piece] of pieces.entries()) {
    if (id % often === 0) yield;
    const others = lattice.best(piece[0], id).map((placed) => placed.piece);
    if (others.includes(pieces.length)) staying.push(piece);
    else if (uses[id]! > 0) candidates.push({ piece, loss: lossOf(id, others) });
  }
  candidates.sort((a, b) => b.loss - a.loss || byWeight(a.piece, b.piece));
  return [...staying, ...candidates.slice(0, Math.max(0, size - staying.length)).map(({ piece }) => piece)];
}

/** All characters and the most likely other pieces, the most likely first. A character that was dropped is the least so. */
function withAlphabet(pieces: readonly WeightedPiece[], alphabet: ReadonlySet<string>, size: number): WeightedPiece[] {
  const scores = new Map(pieces);
  const least = pieces.reduce((lowest, [, score]) => Math.min(lowest, score), 0);
  const characters = [...alphabet].map((character): WeightedPiece => [character, scores.get(character) ?? least]);
  const others = pieces.filter(([piece]) => !alphabet.has(piece)).sort(byWeight);
  return [...characters, ...others.slice(0, size - characters.length)].sort(byWeight);
}

/** The derivative of the logarithm of the gamma function, by its asymptotic series above 7. */
function digamma(x: number): number {
  let shifted = x;
  let below = 0;
  for (; shifted < 7; shifted++) below -= 1 / shifted;
  const inverse = 1 / (shifted * shifted);
  const series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse / 240)));
  return below + Math.log(shifted) - 1 / (2 * shifted) - series;
}

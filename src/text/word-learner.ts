import { SettingsError } from "../core/errors.ts";
import type { Steps } from "../core/event-loop.ts";
import { visiting } from "../core/event-loop.ts";
import type { BertWords } from "./bert-words.ts";
import { MergeLearner } from "./merge-learner.ts";
import { checkMinFrequency, checkTrainingSize, noText } from "./tokenizer-trainer.ts";

/** What a tokenizer of words of characters is trained to be. */
export interface WordTrainingOptions {
  /** Tokens in all: special tokens, characters and what is learnt. */
  readonly vocabularySize: number;
  /** Pairs that occur less often are not merged; the vocabulary may then stay smaller. 2 when left out. */
  readonly minFrequency?: number;
  /** Special tokens beside those of the kind. Their text separates words and is not learnt. None when left out. */
  readonly specialTokens?: readonly string[];
  /** Characters at most; the rarest are left out, with the words that have them. 1000 when left out. */
  readonly alphabetLimit?: number;
}

/** How a kind of tokenizer writes the pieces of words. */
export interface WordSpelling {
  /** A character that is marked as continuing or ending a word. */
  readonly mark: (character: string) => string;
  /** Which characters of a word are marked. */
  readonly isMarked: (place: number, length: number) => boolean;
  /** The piece that two neighbours merge to. */
  readonly join: (left: string, right: string) => string;
}

/** Counts words, then learns merges of their characters. */
export class WordLearner {
  readonly #counts = new Map<string, number>();
  readonly #words: BertWords;
  readonly #options: Required<WordTrainingOptions>;

  /**
   * @throws {SettingsError} when an option makes no sense.
   */
  constructor(words: BertWords, options: WordTrainingOptions) {
    this.#words = words;
    this.#options = { minFrequency: 2, specialTokens: [], alphabetLimit: 1000, ...options };
    const { vocabularySize, minFrequency, alphabetLimit } = this.#options;
    checkTrainingSize(vocabularySize, 1, "a token");
    checkMinFrequency(minFrequency);
    if (!(alphabetLimit >= 1)) {
      throw new SettingsError(`tokenizer training: the alphabet limit must be at least 1, got ${alphabetLimit}`);
    }
  }

  /** Counts the words of a text. */
  add(text: string): void {
    for (const word of this.#words.words(this.#words.normalize(text))) {
      this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    }
  }

  /**
   * Learns merges. Ids: `leading` tokens, single characters in the order of their code points, first as they stand alone,
   * then marked as continuing or ending a word, then merged tokens in the order in which they were learnt.
   *
   * @throws {DataError} when no text was added.
   * @throws {SettingsError} when the vocabulary cannot hold the characters.
   */
  *learning(leading: readonly string[], spelling: WordSpelling): Steps<MergeLearner> {
    if (this.#counts.size === 0) throw noText();
    const alphabet = yield* this.#alphabet();
    const { mark, isMarked } = spelling;
    const used = new Set<string>();
    const words: { readonly pieces: readonly string[]; readonly count: number }[] = [];
    yield* visiting(this.#counts, ([word, count]) => {
      const characters = [...word];
      if (!characters.every((character) => alphabet.has(character))) return;
      const pieces = characters.map((c, i) => (isMarked(i, characters.length) ? mark(c) : c));
      for (const piece of pieces) used.add(piece);
      words.push({ pieces, count });
    });
    const characters = [...alphabet].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
    const tokens = [...leading, ...[...characters, ...characters.map(mark)].filter((piece) => used.has(piece))];
    const { vocabularySize, minFrequency } = this.#options;
    checkTrainingSize(vocabularySize, tokens.length, "special tokens and characters");
    const learner = new MergeLearner(tokens, spelling.join);
    yield* visiting(words, ({ pieces, count }) => {
      const ids = pieces.map((piece) => learner.ids.get(piece)!);
      learner.addWord(ids, count);
    });
    yield* learner.learning(vocabularySize, minFrequency);
    return learner;
  }

  /** The most frequent characters; of equally frequent ones those of lower code points. */
  *#alphabet(): Steps<ReadonlySet<string>> {
    const counts = new Map<string, number>();
    yield* visiting(this.#counts, ([word, count]) => {
      for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
    });
    const byCount = [...counts].sort(([a, n], [b, m]) => m - n || a.codePointAt(0)! - b.codePointAt(0)!);
    return new Set(byCount.slice(0, this.#options.alphabetLimit).map(([character]) => character));
  }
}

import { ByteLevelBpeTrainer } from "./bpe-trainer.ts";
import { CharacterTrainer } from "./characters.ts";
import { Gpt1BpeTrainer } from "./gpt1-trainer.ts";
import type { TokenizerKind } from "./tokenizer.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { UnigramTrainer } from "./unigram-trainer.ts";
import { WordPieceTrainer } from "./word-piece-trainer.ts";

/** What any kind of tokenizer can be asked to be. */
export interface TrainerOptions {
  /** Tokens in all. Characters are as many as the text has, whatever is asked. */
  readonly vocabularySize: number;
  /** Pairs that occur less often are not merged. 2 when left out; `unigram` merges none. */
  readonly minFrequency?: number;
  /** Texts that are one token each, beside those that the kind always has. */
  readonly specialTokens?: readonly string[];
}

/** The kinds that can be learnt; others are only read. */
export type LearnableKind = Exclude<TokenizerKind, "sentencepiece-bpe" | "sentencepiece-pair">;

/** How each kind of tokenizer is learnt. */
export const trainers: Readonly<Record<LearnableKind, (options: TrainerOptions) => TokenizerTrainer>> = {
  "byte-level-bpe": (options) => new ByteLevelBpeTrainer(options),
  characters: ({ specialTokens = [] }) => new CharacterTrainer({ specialTokens }),
  "openai-gpt": (options) => new Gpt1BpeTrainer(options),
  unigram: ({ minFrequency: _, ...options }) => new UnigramTrainer(options),
  wordpiece: (options) => new WordPieceTrainer(options),
};

/** Their names. */
export const learnableKinds = Object.keys(trainers) as LearnableKind[];

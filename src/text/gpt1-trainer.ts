import type { Steps } from "../core/event-loop.ts";
import { inOneGo } from "../core/event-loop.ts";
import { specialToken } from "./added-token.ts";
import { BertWords } from "./bert-words.ts";
import { endOfWord, Gpt1Bpe } from "./gpt1-bpe.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { SpecialTokenSplitter } from "./tokenizer-trainer.ts";
import type { WordSpelling, WordTrainingOptions } from "./word-learner.ts";
import { WordLearner } from "./word-learner.ts";

/** Takes id 0, as in the published vocabulary. */
const unknown = "<unk>";

const spelling: WordSpelling = {
  mark: (character) => character + endOfWord,
  isMarked: (place, length) => place === length - 1,
  join: (left, right) => left + right,
};

/** Learns a byte-pair encoding of GPT-1's kind; see {@link Gpt1Bpe}. */
export class Gpt1BpeTrainer implements TokenizerTrainer {
  readonly #words = new BertWords();
  readonly #learner: WordLearner;
  readonly #splitter: SpecialTokenSplitter;

  /**
   * @throws {SettingsError} when an option makes no sense.
   */
  constructor(options: WordTrainingOptions) {
    this.#learner = new WordLearner(this.#words, options);
    this.#splitter = new SpecialTokenSplitter([unknown, ...(options.specialTokens ?? [])]);
  }

  add(text: string): void {
    for (const part of this.#splitter.parts(text)) this.#learner.add(part);
  }

  train(): Gpt1Bpe {
    return inOneGo(this.training());
  }

  *training(): Steps<Gpt1Bpe> {
    const { tokens } = this.#splitter;
    const { ids, merges } = yield* this.#learner.learning(tokens, spelling);
    const [end = null] = tokens.includes("<|endoftext|>") ? ["<|endoftext|>"] : tokens.slice(1);
    return new Gpt1Bpe({
      vocabulary: ids,
      merges,
      addedTokens: tokens.map(specialToken),
      roles: { unk: unknown, ...(end === null ? {} : { bos: end, eos: end }) },
      words: this.#words,
    });
  }
}

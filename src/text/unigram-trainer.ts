import { SettingsError } from "../core/errors.ts";
import type { Steps } from "../core/event-loop.ts";
import { inOneGo } from "../core/event-loop.ts";
import { specialToken } from "./added-token.ts";
import { metaspaceWords } from "./metaspace.ts";
import { SequenceTemplate } from "./sequence-template.ts";
import { readTextNormalizer } from "./text-normalizer.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { checkTrainingSize, noText, SpecialTokenSplitter } from "./tokenizer-trainer.ts";
import { Unigram } from "./unigram.ts";
import { learningPieces } from "./unigram-learner.ts";

/** What a unigram tokenizer is trained to be. */
export interface UnigramTrainingOptions {
  /** Tokens in all: special tokens, characters and longer pieces. */
  readonly vocabularySize: number;
  /** Special tokens beside `<pad>`, `</s>` and `<unk>`. Their text separates words and is not learnt. None when left out. */
  readonly specialTokens?: readonly string[];
  /** Characters of the longest piece. 16 when left out. */
  readonly longestPiece?: number;
  /** Characters at most; words with rarer ones are left out, and the characters become `<unk>`. 1000 when left out. */
  readonly alphabetLimit?: number;
}

/** T5's special tokens, which take the first ids. */
const roles = { pad: "<pad>", eos: "</s>", unk: "<unk>" };

const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
const nfkc = { type: "NFKC" };
const words = { dropsWhiteSpace: false, scheme: "always", splits: true } as const;

/**
 * Learns a unigram tokenizer in the manner of T5: text in Unicode's form NFKC, cut before every space, `</s>` behind each
 * text. Other white space, such as line breaks, is kept.
 *
 * @see Kudo (2018), arXiv:1804.10959, section 3.2; Raffel et al. (2020), arXiv:1910.10683, section 2.
 */
export class UnigramTrainer implements TokenizerTrainer {
  readonly #normalizer = readTextNormalizer("tokenizer training", nfkc);
  readonly #splitter: SpecialTokenSplitter;
  readonly #counts = new Map<string, number>();
  readonly #options: Required<Omit<UnigramTrainingOptions, "specialTokens">>;

  /**
   * @throws {SettingsError} when an option makes no sense.
   */
  constructor({ specialTokens = [], ...options }: UnigramTrainingOptions) {
    this.#splitter = new SpecialTokenSplitter([...Object.values(roles), ...specialTokens]);
    this.#options = { longestPiece: 16, alphabetLimit: 1000, ...options };
    const { vocabularySize, longestPiece, alphabetLimit } = this.#options;
    checkTrainingSize(vocabularySize, this.#splitter.tokens.length + 1, "special tokens and a character");
    for (const [name, value] of Object.entries({ longestPiece, alphabetLimit })) {
      if (!(value >= 1)) throw new SettingsError(`tokenizer training: ${name} must be at least 1, got ${value}`);
    }
  }

  add(text: string): void {
    for (const part of this.#splitter.parts(text)) {
      const normal = this.#normalizer.normalize(part);
      for (const word of normal === "" ? [] : metaspaceWords(words, normal, true, false)) {
        this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
      }
    }
  }

  train(): Unigram {
    return inOneGo(this.training());
  }

  *training(): Steps<Unigram> {
    if (this.#counts.size === 0) throw noText();
    const { vocabularySize, longestPiece, alphabetLimit } = this.#options;
    const special = this.#splitter.tokens;
    const counted = [...this.#counts].map(([word, count]) => ({ word, count }));
    const learned = yield* learningPieces(counted, {
      pieces: vocabularySize - special.length,
      longestPiece,
      alphabetLimit,
    });
    const end = roles.eos;
    const piece = { token: end, ids: [special.indexOf(end)], typeId: 0 };
    const single = [{ sequence: "A", typeId: 0 } as const, piece];
    return new Unigram({
      pieces: [...special.map((token) => [token, 0] as const), ...learned],
      unknown: special.indexOf(roles.unk),
      fallsBackToBytes: false,
      addedTokens: special.map(specialToken),
      roles,
      template: new SequenceTemplate(single, [...single, { sequence: "B", typeId: 0 }, piece]),
      normalizer: this.#normalizer,
      words,
      decoding: { joinsBytes: false, dropsFirstSpace: true },
      json: { normalizer: nfkc, pre_tokenizer: metaspace, decoder: metaspace },
    });
  }
}

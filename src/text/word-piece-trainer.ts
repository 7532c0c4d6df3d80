import type { Steps } from "../core/event-loop.ts";
import { inOneGo } from "../core/event-loop.ts";
import { specialToken } from "./added-token.ts";
import { BertWords } from "./bert-words.ts";
import type { TemplatePiece } from "./sequence-template.ts";
import { SequenceTemplate } from "./sequence-template.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { SpecialTokenSplitter } from "./tokenizer-trainer.ts";
import type { WordSpelling, WordTrainingOptions } from "./word-learner.ts";
import { WordLearner } from "./word-learner.ts";
import { WordPiece } from "./word-piece.ts";

const prefix = "##";

/** BERT's special tokens, which take the first ids. */
const roles = { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" };

const spelling: WordSpelling = {
  mark: (character) => prefix + character,
  isMarked: (place) => place > 0,
  join: (left, right) => left + right.slice(prefix.length),
};

/**
 * Learns a WordPiece tokenizer. Pieces are merged by how often they occur, as in byte-pair encoding and as Hugging Face's
 * trainer does; BERT's own trainer, which merges by likelihood, was never published.
 *
 * @see Devlin et al. (2019), arXiv:1810.04805, section 3, for the special tokens and how they frame a text and a pair.
 */
export class WordPieceTrainer implements TokenizerTrainer {
  readonly #words: BertWords;
  readonly #learner: WordLearner;
  readonly #splitter: SpecialTokenSplitter;

  /**
   * @throws {SettingsError} when an option makes no sense.
   */
  constructor({ lowercase = true, ...options }: WordTrainingOptions & { readonly lowercase?: boolean }) {
    this.#words = new BertWords({ lowercase });
    this.#learner = new WordLearner(this.#words, options);
    this.#splitter = new SpecialTokenSplitter([...Object.values(roles), ...(options.specialTokens ?? [])]);
  }

  add(text: string): void {
    for (const part of this.#splitter.parts(text)) this.#learner.add(part);
  }

  train(): WordPiece {
    return inOneGo(this.training());
  }

  *training(): Steps<WordPiece> {
    const { tokens } = this.#splitter;
    const { ids } = yield* this.#learner.learning(tokens, spelling);
    return new WordPiece({
      vocabulary: ids,
      addedTokens: tokens.map(specialToken),
      roles,
      words: this.#words,
      template: bertTemplate(ids),
    });
  }
}

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, the second text and its end in segment 1. */
function bertTemplate(ids: ReadonlyMap<string, number>): SequenceTemplate {
  const special = (token: string, typeId: number): TemplatePiece => ({ token, ids: [ids.get(token)!], typeId });
  const single: TemplatePiece[] = [special(roles.cls, 0), { sequence: "A", typeId: 0 }, special(roles.sep, 0)];
  return new SequenceTemplate(single, [...single, { sequence: "B", typeId: 1 }, special(roles.sep, 1)]);
}

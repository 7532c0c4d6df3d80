import { CheckpointError } from "../core/errors.ts";
import { ByteTokens } from "./byte-tokens.ts";
import type { IntList } from "./int-list.ts";
import type { DecodeOptions, StreamDecoder, Tokenizer, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";

/** Everything that Marian's tokenizer consists of. */
export interface MarianParts extends VocabularyParts {
  /** Tokens of both languages and their ids. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly roles: TokenRoles;
  /** SentencePiece models that cut what is read and what is written; their own ids do not count. */
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  /** The files that it was read from, as they are: a `tokenizer.json` cannot say all this. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}

/** A code before a text of the language to translate into: `>>de<<`. */
const languageCode = /^>>.*?<</su;

/**
 * What Marian's translation models have: a SentencePiece model for either language, and one vocabulary of both that numbers
 * the pieces.
 *
 * @see Junczys-Dowmunt et al. (2018), "Marian: fast neural machine translation in C++", arXiv:1804.00344.
 */
export class MarianTokenizer extends VocabularyTokenizer {
  override readonly kind = "sentencepiece-pair";
  readonly #parts: MarianParts;
  readonly #model: Tokenizer;
  readonly #where: string;
  readonly #unk: number;
  /** The vocabulary's ids by those of the model. */
  readonly #ids: Int32Array;
  #target: MarianTokenizer | undefined;

  /**
   * @param side - Which texts are cut: those that are read or those that are written.
   * @throws {CheckpointError} naming `where`, when ids collide or the vocabulary has no unknown token.
   */
  constructor(parts: MarianParts, where = "tokenizer", side: "source" | "target" = "source") {
    super(where, parts.vocabulary, parts, null);
    const { unknown } = this;
    if (unknown === null) {
      throw new CheckpointError(`${where}: has no unknown token <unk>; the file is damaged, fetch it again`);
    }
    this.#parts = parts;
    this.#where = where;
    this.#model = parts[side];
    this.#unk = unknown;
    this.#ids = Int32Array.from({ length: this.#model.vocabularySize }, (_, id) => {
      return parts.vocabulary.get(this.#model.tokenOf(id) ?? "") ?? unknown;
    });
  }

  get target(): MarianTokenizer {
    this.#target ??= new MarianTokenizer(this.#parts, this.#where, "target");
    return this.#target;
  }

  get files(): MarianParts["files"] {
    return this.#parts.files;
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const bytes = new ByteTokens(this.#parts.vocabulary);
    return bytes.streamDecoder((id) => this.vocabulary.shown(id, options), true);
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): MarianTokenizer {
    const extended = this.vocabulary.extended(tokens, roles);
    const added = extended.addedTokens.map(({ content, id }) => [content, id] as const);
    const vocabulary = new Map([...this.#parts.vocabulary, ...added]);
    const files = {
      ...this.#parts.files,
      "vocab.json": `${JSON.stringify(Object.fromEntries(vocabulary), null, 2)}\n`,
    };
    return new MarianTokenizer({ ...this.#parts, ...extended, vocabulary, files }, this.#where);
  }

  protected override ownJson(): OwnJson {
    const { vocabulary, source, target } = this.#parts;
    const models = { source: source.toJson(), target: target.toJson() };
    const model = { type: "SentencePiecePair", vocab: Object.fromEntries(vocabulary), ...models };
    return { normalizer: null, pre_tokenizer: null, decoder: null, model: model as TokenizerJson["model"] };
  }

  protected override encodeSegment(text: string, out: IntList, continues: boolean): void {
    const [code] = languageCode.exec(text) ?? [];
    if (code !== undefined) out.push(this.#parts.vocabulary.get(code) ?? this.#unk);
    const rest = text.slice(code?.length ?? 0);
    for (const id of this.#model.encode(rest, { recognizeSpecialTokens: false, continues })) out.push(this.#ids[id]!);
  }

  protected override wordBoundary(text: string): number {
    return languageCode.test(text) ? 0 : this.#model.cutPoint(text);
  }
}

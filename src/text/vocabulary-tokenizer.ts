import type { AddedToken } from "./added-token.ts";
import { addedTokensToJson } from "./added-token.ts";
import type { CutWord } from "./cut-word.ts";
import { plainCut } from "./cut-word.ts";
import { IntList } from "./int-list.ts";
import type { SequenceTemplate } from "./sequence-template.ts";
import { plainSequence } from "./sequence-template.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  FramedIds,
  StreamDecoder,
  Tokenizer,
  TokenizerJson,
  TokenizerKind,
  TokenRoles,
} from "./tokenizer.ts";
import { Segmenter, Vocabulary } from "./vocabulary.ts";

/** What tokenizers of all kinds consist of, beside their model. */
export interface VocabularyParts {
  readonly addedTokens: readonly AddedToken[];
  readonly roles?: TokenRoles;
  /** Special tokens around a text; none when left out. */
  readonly template?: SequenceTemplate | null;
}

/** What a kind of tokenizer says of itself in `tokenizer.json`; the post-processor is that of the template when left out. */
export type OwnJson = Pick<TokenizerJson, "normalizer" | "pre_tokenizer" | "decoder" | "model"> &
  Partial<Pick<TokenizerJson, "post_processor">>;

/** What all tokenizers share: a vocabulary, added tokens that are found first, and special tokens around texts. */
export abstract class VocabularyTokenizer implements Tokenizer {
  abstract readonly kind: TokenizerKind;
  protected readonly vocabulary: Vocabulary;
  /** Id of the token that stands for what the vocabulary lacks; null: such text is refused. */
  protected readonly unknown: number | null;
  readonly #segmenter: Segmenter;
  readonly #template: SequenceTemplate | null;
  /** Whether a cut could separate an added token from white space that is its own. */
  readonly #tokensHoldSpace: boolean;

  /**
   * @param tokens - Those that the model's cuts can give, and their ids.
   * @param normalize - Applied to text between added tokens.
   * @throws {CheckpointError} naming `where`, when ids collide.
   */
  constructor(
    where: string,
    tokens: ReadonlyMap<string, number>,
    parts: VocabularyParts,
    normalize: ((text: string) => string) | null,
  ) {
    this.vocabulary = new Vocabulary(where, tokens, parts.addedTokens, parts.roles);
    this.#segmenter = new Segmenter(parts.addedTokens, normalize);
    this.#template = parts.template ?? null;
    const { unk } = this.vocabulary.roles;
    this.unknown = unk === undefined ? null : this.vocabulary.idOf(unk);
    this.#tokensHoldSpace = parts.addedTokens.some(({ rstrip, content }) => rstrip || /\s/.test(content));
  }

  get vocabularySize(): number {
    return this.vocabulary.size;
  }

  get specialTokens(): ReadonlyMap<string, number> {
    return this.vocabulary.specialTokens;
  }

  get addedTokens(): readonly AddedToken[] {
    return this.vocabulary.addedTokens;
  }

  get roles(): TokenRoles {
    return this.vocabulary.roles;
  }

  get endOfText(): number | null {
    return this.vocabulary.endOfText;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const ids = new IntList(Math.ceil(text.length / 3));
    for (const [i, segment] of this.#segmenter.segments(text, options.recognizeSpecialTokens).entries()) {
      if (typeof segment === "number") ids.push(segment);
      else this.encodeSegment(segment, ids, i === 0 && options.continues === true);
    }
    return ids.toArray();
  }

  cutWords(text: string): CutWord[] {
    const words: CutWord[] = [];
    for (const segment of this.#segmenter.segments(text)) {
      const isFirst = words.every(({ ids }) => ids.length === 0);
      if (typeof segment === "number") words.push(plainCut(this.tokenOf(segment) ?? "", [segment]));
      else words.push(...this.cutSegment(segment, isFirst));
    }
    return words;
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.streamDecoder(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  idOf(token: string): number | null {
    return this.vocabulary.idOf(token);
  }

  tokenOf(id: number): string | null {
    return this.vocabulary.tokenOf(id);
  }

  frame(first: Int32Array, second?: Int32Array): FramedIds {
    return (this.#template ?? plainSequence).frame(first, second);
  }

  cutPoint(text: string): number {
    return this.#tokensHoldSpace ? 0 : this.wordBoundary(text);
  }

  abstract streamDecoder(options?: DecodeOptions): StreamDecoder;

  abstract withSpecialTokens(tokens: readonly string[], roles?: TokenRoles): Tokenizer;

  toJson(): TokenizerJson {
    const { normalizer, pre_tokenizer, decoder, model, ...own } = this.ownJson();
    return {
      ...{ version: "1.0", truncation: null, padding: null, added_tokens: addedTokensToJson(this.addedTokens) },
      ...{ normalizer, pre_tokenizer, post_processor: own.post_processor ?? this.#template?.toJson() ?? null },
      ...{ decoder, model },
    };
  }

  protected abstract ownJson(): OwnJson;

  /** Adds the ids of text between added tokens, already normalized, to `out`. `continues` is of {@link EncodeOptions}. */
  protected abstract encodeSegment(text: string, out: IntList, continues: boolean): void;

  /** As {@link encodeSegment}, telling how. */
  protected cutSegment(text: string, isFirst: boolean): CutWord[] {
    const ids = new IntList(text.length);
    if (!isFirst) ids.push(-1); // something stands before it
    this.encodeSegment(text, ids, false);
    return [plainCut(text, ids.toArray().subarray(isFirst ? 0 : 1))];
  }

  /** As {@link Tokenizer.cutPoint}, for text without added tokens. */
  protected abstract wordBoundary(text: string): number;
}

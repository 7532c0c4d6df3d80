import type { AddedToken } from "./added-token.ts";
import { IntList } from "./int-list.ts";
import type { SequenceTemplate } from "./sequence-template.ts";
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
import type { Segmenter, Vocabulary } from "./vocabulary.ts";

/** What all tokenizers share: a vocabulary, added tokens that are found first, and special tokens around texts. */
export abstract class VocabularyTokenizer implements Tokenizer {
  abstract readonly kind: TokenizerKind;
  protected readonly vocabulary: Vocabulary;
  readonly #segmenter: Segmenter;
  readonly #template: SequenceTemplate;
  /** Whether a cut could separate an added token from white space that is its own. */
  readonly #tokensHoldSpace: boolean;

  constructor(vocabulary: Vocabulary, segmenter: Segmenter, template: SequenceTemplate) {
    this.vocabulary = vocabulary;
    this.#segmenter = segmenter;
    this.#template = template;
    this.#tokensHoldSpace = vocabulary.addedTokens.some(({ rstrip, content }) => rstrip || /\s/.test(content));
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
    return this.#template.frame(first, second);
  }

  cutPoint(text: string): number {
    return this.#tokensHoldSpace ? 0 : this.wordBoundary(text);
  }

  abstract streamDecoder(options?: DecodeOptions): StreamDecoder;

  abstract withSpecialTokens(tokens: readonly string[], roles?: TokenRoles): Tokenizer;

  abstract toJson(): TokenizerJson;

  /** Adds the ids of text between added tokens, already normalized, to `out`. `continues` is of {@link EncodeOptions}. */
  protected abstract encodeSegment(text: string, out: IntList, continues: boolean): void;

  /** As {@link Tokenizer.cutPoint}, for text without added tokens. */
  protected abstract wordBoundary(text: string): number;
}

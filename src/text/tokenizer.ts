import type { AddedToken } from "./added-token.ts";
import type { CutWord } from "./cut-word.ts";

/** The families of tokenizers, by how they cut text. */
export type TokenizerKind =
  | "byte-level-bpe"
  | "characters"
  | "openai-gpt"
  | "sentencepiece-bpe"
  | "sentencepiece-pair"
  | "unigram"
  | "wordpiece";

/** What a special token is for; the file format calls them `bos_token`, `eos_token` and so on. */
export type TokenRole = "bos" | "eos" | "unk" | "pad" | "cls" | "sep" | "mask";

/** The token that plays each role, by its text. */
export type TokenRoles = Readonly<Partial<Record<TokenRole, string>>>;

/** How {@link Tokenizer.encode} reads text. */
export interface EncodeOptions {
  /**
   * Whether the text of a special token, such as `<|endoftext|>`, becomes that token. Turn it off for text of
   * strangers, which then cannot forge one. On when left out.
   */
  readonly recognizeSpecialTokens?: boolean;
  /**
   * Whether the text goes on from another one: a tokenizer that reads every text as if a space came first then puts none
   * there. Off when left out.
   */
  readonly continues?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leave special tokens out of the text. Off when left out. */
  readonly skipSpecialTokens?: boolean;
}

/** Turns ids into text one by one; the pieces together are what {@link Tokenizer.decode} gives for all ids. */
export interface StreamDecoder {
  /** The text that is certain once this id is known: empty while a character is incomplete. */
  push(id: number): string;
  /** The rest, with U+FFFD for a character that never became complete. The decoder can then be used afresh. */
  flush(): string;
}

/** Ids with the special tokens that a model expects around its input. */
export interface FramedIds {
  /** Ids, special tokens included. */
  readonly ids: Int32Array;
  /** For each id, the segment it belongs to: 0 for the first text, 1 for the second. */
  readonly typeIds: Int32Array;
}

/** The contents of a `tokenizer.json` file. */
export interface TokenizerJson {
  readonly version: "1.0";
  readonly truncation: unknown;
  readonly padding: unknown;
  readonly added_tokens: readonly object[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly post_processor: object | null;
  readonly decoder: object | null;
  readonly model: {
    readonly type: string;
    /** Ids by token; of a unigram model, tokens by id with their log-probabilities. */
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [piece: string, score: number])[];
  };
}

/** Text to token ids and back. Tokenizers never change: {@link Tokenizer.withSpecialTokens} makes another one. */
export interface Tokenizer {
  readonly kind: TokenizerKind;
  /** One more than the highest id: the rows an embedding table needs. */
  readonly vocabularySize: number;
  /** Special tokens by their text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Every token that is matched as a whole before the text is cut: special ones and ordinary additions. */
  readonly addedTokens: readonly AddedToken[];
  readonly roles: TokenRoles;
  /** Id of the token that ends a text, or null where there is none. */
  readonly endOfText: number | null;
  /** Cuts the texts that a model writes, where they are cut otherwise than those that it reads. Ids mean the same. */
  readonly target?: Tokenizer;
  /** Files of a model folder that it is, where a `tokenizer.json` cannot say it. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;

  /**
   * Token ids of a text. A lone surrogate counts as U+FFFD.
   *
   * @throws {DataError} when the text holds something that the vocabulary cannot express.
   */
  encode(text: string, options?: EncodeOptions): Int32Array;

  /**
   * How {@link encode} cuts a text: stretches whose ids, one after the other, are those of the text. Takes a time that
   * grows with the square of a word's length.
   *
   * @throws {DataError} as there.
   */
  cutWords(text: string): CutWord[];

  /**
   * Text of token ids; bytes that are no valid UTF-8 become U+FFFD. An id that no token has, such as a row by which an
   * embedding was rounded up, is no text.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;

  /** A decoder for ids that arrive one by one. */
  streamDecoder(options?: DecodeOptions): StreamDecoder;

  /** Id of a token as the vocabulary spells it (`Ġthe`), or null. */
  idOf(token: string): number | null;

  /** Spelling of a token in the vocabulary, or null. */
  tokenOf(id: number): string | null;

  /** Puts the special tokens around one text or a pair that models of this tokenizer are trained with, if any. */
  frame(first: Int32Array, second?: Int32Array): FramedIds;

  /**
   * The last place, in UTF-16 units, where `text` may be cut whatever follows it, so that both parts encoded
   * separately give the ids of the whole; 0 when there is none.
   */
  cutPoint(text: string): number;

  /**
   * The same tokenizer with more special tokens. New ones take the ids after the last; a token that the vocabulary
   * already has keeps its id and becomes special. `roles` says what tokens are for, over those already known.
   *
   * @throws {SettingsError} when a token is empty or a role names an unknown token.
   */
  withSpecialTokens(tokens: readonly string[], roles?: TokenRoles): Tokenizer;

  /** What `tokenizer.json` holds. */
  toJson(): TokenizerJson;
}

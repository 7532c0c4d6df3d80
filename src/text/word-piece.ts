import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import { parseContents } from "../core/parse-contents.ts";
import { BertWords, readBertWords } from "./bert-words.ts";
import type { CutWord } from "./cut-word.ts";
import { plainCut } from "./cut-word.ts";
import type { IntList } from "./int-list.ts";
import { readTemplate } from "./sequence-template-json.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";
import { WordMemory } from "./word-memory.ts";

/** Everything a WordPiece tokenizer consists of. */
export interface WordPieceParts extends VocabularyParts {
  /** Tokens and their ids; those that continue a word begin with `prefix`. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** The `unk` token must be in the vocabulary: words that have no pieces become it. */
  readonly roles: TokenRoles & { readonly unk: string };
  /** BERT's lower-cased words when left out. */
  readonly words?: BertWords;
  /** `##` when left out. */
  readonly prefix?: string;
  /** Whether decoding writes `.`, `,` and the like right behind the word before. They are, when left out. */
  readonly cleansUp?: boolean;
  /** Words of more characters become the `unk` token. 100 when left out. */
  readonly longestWord?: number;
}

/**
 * WordPiece: each word is cut into the longest pieces of the vocabulary, from the left. Text comes back as words with one
 * space between them.
 *
 * @see Schuster and Nakajima (2012), "Japanese and Korean voice search"; Devlin et al. (2019), arXiv:1810.04805.
 */
export class WordPiece extends VocabularyTokenizer {
  override readonly kind = "wordpiece";
  readonly #parts: WordPieceParts;
  readonly #words: BertWords;
  readonly #prefix: string;
  readonly #longestWord: number;
  readonly #cleansUp: boolean;
  readonly #unknown: number;
  /** Characters of the longest token. */
  readonly #longestToken: number;
  readonly #memory = new WordMemory((word) => this.#encodeWord(word));

  /**
   * @throws {CheckpointError} naming `where`, when ids collide or the unknown token is not in the vocabulary.
   */
  constructor(parts: WordPieceParts, where = "tokenizer") {
    const words = parts.words ?? new BertWords();
    super(where, parts.vocabulary, parts, (text) => words.normalize(text));
    this.#parts = parts;
    this.#words = words;
    this.#prefix = parts.prefix ?? "##";
    this.#longestWord = parts.longestWord ?? 100;
    this.#cleansUp = parts.cleansUp ?? true;
    this.#longestToken = [...parts.vocabulary.keys()].reduce((longest, token) => Math.max(longest, token.length), 0);
    if (this.unknown === null) {
      throw new CheckpointError(
        `${where}: the unknown token ${JSON.stringify(parts.roles.unk)} is not in the vocabulary; add it there`,
      );
    }
    this.#unknown = this.unknown;
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    let isFirst = true;
    return {
      push: (id) => {
        const token = this.vocabulary.shown(id, options);
        if (token === null) return "";
        const text = isFirst ? token : this.#joined(token);
        isFirst = false;
        return text;
      },
      flush: () => {
        isFirst = true;
        return "";
      },
    };
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): WordPiece {
    const extended = this.vocabulary.extended(tokens, roles);
    return new WordPiece({ ...this.#parts, ...extended, roles: { ...this.#parts.roles, ...extended.roles } });
  }

  protected override ownJson(): OwnJson {
    return {
      ...this.#words.toJson(),
      decoder: { type: "WordPiece", prefix: this.#prefix, cleanup: this.#cleansUp },
      model: {
        type: "WordPiece",
        unk_token: this.#parts.roles.unk,
        continuing_subword_prefix: this.#prefix,
        max_input_chars_per_word: this.#longestWord,
        vocab: Object.fromEntries(this.#parts.vocabulary),
      } as TokenizerJson["model"],
    };
  }

  protected override encodeSegment(text: string, out: IntList): void {
    for (const word of this.#words.words(text)) for (const id of this.#memory.idsOf(word)) out.push(id);
  }

  protected override wordBoundary(text: string): number {
    return this.#words.cutPoint(text);
  }

  protected override cutSegment(text: string): CutWord[] {
    return [...this.#words.words(text)].map((word) => plainCut(word, this.#encodeWord(word)));
  }

  /** A token behind others: with a space before it, unless it continues a word or is a mark that closes up. */
  #joined(token: string): string {
    if (this.#prefix !== "" && token.startsWith(this.#prefix)) return token.slice(this.#prefix.length);
    return this.#cleansUp && closesUp.test(token) ? token : ` ${token}`;
  }

  #encodeWord(word: string): readonly number[] {
    const characters = [...word];
    if (characters.length > this.#longestWord) return [this.#unknown];
    const ids: number[] = [];
    for (let start = 0; start < characters.length; ) {
      const end = this.#pieceEnd(characters, start);
      if (end === start) return [this.#unknown];
      ids.push(this.#pieceId(characters, start, end)!);
      start = end;
    }
    return ids;
  }

  /** End of the longest piece that begins at `start`, or `start` when there is none. */
  #pieceEnd(characters: readonly string[], start: number): number {
    let end = Math.min(characters.length, start + this.#longestToken);
    while (end > start && this.#pieceId(characters, start, end) === undefined) end -= 1;
    return end;
  }

  #pieceId(characters: readonly string[], start: number, end: number): number | undefined {
    const piece = characters.slice(start, end).join("");
    return this.#parts.vocabulary.get(start === 0 ? piece : this.#prefix + piece);
  }
}

/** Beginnings of tokens before which the decoder writes no space, if it cleans up. */
const closesUp = /^(?:[.?!,]|n't|'m|'s|'ve|'re)/;

const ModelSchema = z.looseObject({
  unk_token: z.string().default("[UNK]"),
  continuing_subword_prefix: z.string().default("##"),
  max_input_chars_per_word: z.int().positive().default(100),
});

/** Whether a `tokenizer.json` is of WordPiece. */
export function isWordPiece({ model }: TokenizerParts): boolean {
  return model.type === "WordPiece";
}

/**
 * Makes a WordPiece tokenizer from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it cuts text in another way than BERT.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function wordPieceFromJson(parts: TokenizerParts): WordPiece {
  const { where, model, addedTokens, roles } = parts;
  const settings = parseContents(`${where}: model`, ModelSchema, model.fields);
  return new WordPiece(
    {
      vocabulary: model.vocabulary,
      addedTokens,
      roles: { ...bertRoles(model.vocabulary), ...roles, unk: settings.unk_token },
      words: readBertWords(parts),
      template: readTemplate(where, parts.postProcessor),
      prefix: settings.continuing_subword_prefix,
      cleansUp: parts.decoder?.cleanup !== false,
      longestWord: settings.max_input_chars_per_word,
    },
    where,
  );
}

/** BERT's special tokens, which are in its vocabulary whether or not another file names them. */
function bertRoles(vocabulary: ReadonlyMap<string, number>): TokenRoles {
  const names = { cls: "[CLS]", sep: "[SEP]", pad: "[PAD]", mask: "[MASK]" };
  return Object.fromEntries(Object.entries(names).filter(([, token]) => vocabulary.has(token)));
}

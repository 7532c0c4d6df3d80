import { CheckpointError, DataError } from "../core/errors.ts";
import { BertWords, readBertWords } from "./bert-words.ts";
import type { CutWord } from "./cut-word.ts";
import { mergeSteps } from "./cut-word.ts";
import type { IntList } from "./int-list.ts";
import { MergeTable, mergeIds } from "./merge-table.ts";
import { mergeWord } from "./merge-word.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";
import { WordMemory } from "./word-memory.ts";

/** What marks the last token of a word in GPT-1's vocabulary. */
export const endOfWord = "</w>";

/** Everything a tokenizer of GPT-1's kind consists of. */
export interface Gpt1BpeParts extends VocabularyParts {
  /** Tokens and their ids; those that end a word end in `</w>`. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs of tokens in the order in which they merge. */
  readonly merges: readonly (readonly [left: string, right: string])[];
  /** The `unk` token stands for characters that are not in the vocabulary; without one they are refused. */
  readonly roles?: TokenRoles;
  /** Lower case without accents, as GPT-1 has it, when left out. */
  readonly words?: BertWords;
}

/**
 * GPT-1's byte-pair encoding: of characters, within lower-cased words, white space dropped. Text comes back as words with
 * one space between them.
 *
 * @see Radford et al. (2018), "Improving language understanding by generative pre-training", section 4.1; Sennrich et al.
 * (2016), arXiv:1508.07909. The paper cuts words with spaCy after ftfy; this does what Hugging Face's fast tokenizer does.
 */
export class Gpt1Bpe extends VocabularyTokenizer {
  override readonly kind = "openai-gpt";
  readonly #parts: Gpt1BpeParts;
  readonly #words: BertWords;
  readonly #merges: MergeTable;
  readonly #memory = new WordMemory((word) => this.#encodeWord(word));

  /**
   * @throws {CheckpointError} naming `where`, when ids collide or a merge needs or makes a token that does not exist.
   */
  constructor(parts: Gpt1BpeParts, where = "tokenizer") {
    const words = parts.words ?? new BertWords();
    super(where, parts.vocabulary, parts, (text) => words.normalize(text));
    this.#parts = parts;
    this.#words = words;
    this.#merges = new MergeTable(mergeIds(where, parts.vocabulary, parts.merges));
  }

  /** Pairs of tokens in the order in which they merge. */
  get merges(): Gpt1BpeParts["merges"] {
    return this.#parts.merges;
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    // The space behind a word is only there if something follows.
    let pending = "";
    return {
      push: (id) => {
        const token = this.vocabulary.shown(id, options);
        if (token === null) return "";
        const isEnd = token.endsWith(endOfWord);
        const text = pending + (isEnd ? token.slice(0, -endOfWord.length) : token);
        pending = isEnd ? " " : "";
        return text;
      },
      flush: () => {
        pending = "";
        return "";
      },
    };
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): Gpt1Bpe {
    return new Gpt1Bpe({ ...this.#parts, ...this.vocabulary.extended(tokens, roles) });
  }

  protected override ownJson(): OwnJson {
    return {
      ...this.#words.toJson(),
      decoder: { type: "BPEDecoder", suffix: endOfWord },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: this.roles.unk ?? null,
        continuing_subword_prefix: null,
        end_of_word_suffix: endOfWord,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(this.#parts.vocabulary),
        merges: this.#parts.merges.map((pair) => pair.join(" ")),
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
    return [...this.#words.words(text)].map((word) => mergeSteps(word, this.#characterIds(word), this.#merges));
  }

  #encodeWord(word: string): readonly number[] {
    const ids = this.#characterIds(word);
    return [...ids.subarray(0, mergeWord(ids, ids.length, this.#merges))];
  }

  #characterIds(word: string): Int32Array {
    const characters = [...word];
    characters.push(`${characters.pop()}${endOfWord}`);
    return Int32Array.from(characters, (character) => this.#characterId(character));
  }

  #characterId(character: string): number {
    const id = this.#parts.vocabulary.get(character) ?? this.unknown;
    if (id !== null) return id;
    throw new DataError(
      `encode: ${JSON.stringify(character)} is not in the vocabulary of ${this.vocabularySize} tokens; train the tokenizer ` +
        "on text that has the character, or give it an unk token",
    );
  }
}

/** Whether a `tokenizer.json` is of GPT-1's kind. */
export function isGpt1Bpe({ model }: TokenizerParts): boolean {
  return (
    model.type === "BPE" &&
    typeof model.fields.end_of_word_suffix === "string" &&
    model.fields.end_of_word_suffix !== ""
  );
}

/**
 * Makes a tokenizer of GPT-1's kind from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it cuts text in another way.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function gpt1BpeFromJson(parts: TokenizerParts): Gpt1Bpe {
  const { where, model, addedTokens, roles } = parts;
  const { end_of_word_suffix: suffix, unk_token: unk } = model.fields;
  if (suffix !== endOfWord) {
    throw new CheckpointError(
      `${where}: words end in ${JSON.stringify(suffix)}; ${JSON.stringify(endOfWord)} is expected`,
    );
  }
  return new Gpt1Bpe(
    {
      vocabulary: model.vocabulary,
      merges: model.merges,
      addedTokens,
      roles: typeof unk === "string" ? { unk, ...roles } : roles,
      words: readBertWords(parts),
    },
    where,
  );
}

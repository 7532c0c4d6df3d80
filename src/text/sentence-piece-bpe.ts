import { DataError } from "../core/errors.ts";
import { ByteTokens } from "./byte-tokens.ts";
import type { CutWord } from "./cut-word.ts";
import { mergeSteps } from "./cut-word.ts";
import type { IntList } from "./int-list.ts";
import type { MergeOrder } from "./merge-table.ts";
import { MergeTable, mergeIds } from "./merge-table.ts";
import { mergeWord } from "./merge-word.ts";
import { lastWordBoundary } from "./pre-tokenizer.ts";
import { hasInnerSpace, ScoredMerges } from "./score-merges.ts";
import type { TextNormalizer } from "./text-normalizer.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";
import { WordMemory } from "./word-memory.ts";

type MergePairs = readonly (readonly [left: string, right: string])[];

/** Where a space is put before text that is to be read as if it began a word. */
export type SpacePrefix = "never" | "always" | "unless there" | "first, unless there";

/** Everything a SentencePiece-like BPE consists of. */
export interface SentencePieceBpeParts extends VocabularyParts {
  /** Tokens and their ids; a space is `▁`, a byte `<0x0A>`. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs of tokens in the order in which they merge, or what follows from their scores. */
  readonly merges: MergePairs | ScoredMerges;
  readonly roles: TokenRoles;
  /** What happens to text before its spaces are marked; null for nothing. */
  readonly normalizer: TextNormalizer | null;
  readonly spacePrefix: SpacePrefix;
  /** Whether decoding drops the space that a text begins with. */
  readonly dropsFirstSpace: boolean;
  /** Whether neighbouring characters that nothing can express become one unknown token. */
  readonly fusesUnknown: boolean;
  /** The entries of `tokenizer.json` that say all this. */
  readonly json: Pick<TokenizerJson, "normalizer" | "pre_tokenizer" | "decoder">;
}

const space = "▁";
/** A word with the spaces before it, in text whose spaces are `▁`. */
const words = /▁*[^▁]+|▁+/gu;

/**
 * Byte-pair encoding of characters over whole texts, spaces included, with bytes for characters that the vocabulary lacks:
 * what Llama 2, Mistral and Gemma have from SentencePiece.
 *
 * @see Kudo and Richardson (2018), "SentencePiece", arXiv:1808.06226; Touvron et al. (2023), arXiv:2302.13971, section 2.1.
 */
export class SentencePieceBpe extends VocabularyTokenizer {
  override readonly kind = "sentencepiece-bpe";
  readonly #parts: SentencePieceBpeParts;
  readonly #merges: MergeOrder;
  readonly #bytes: ByteTokens;
  /** Whether no token has a space behind another character, so that words can be encoded one by one. */
  readonly #cutsWords: boolean;
  readonly #memory = new WordMemory((word) => this.#encodeWord(word));

  /**
   * @throws {CheckpointError} naming `where`, when ids collide or a merge needs or makes a token that does not exist.
   */
  constructor(parts: SentencePieceBpeParts, where = "tokenizer") {
    const mark = parts.spacePrefix === "always" ? withSpace : spacesMarked;
    super(where, parts.vocabulary, parts, (text) => mark(parts.normalizer?.normalize(text) ?? text));
    this.#parts = parts;
    const { merges } = parts;
    const isScored = merges instanceof ScoredMerges;
    this.#merges = isScored ? merges : new MergeTable(mergeIds(where, parts.vocabulary, merges));
    this.#cutsWords = isScored ? !merges.joinsWords : !merges.some(([left, right]) => hasInnerSpace(left + right));
    this.#bytes = new ByteTokens(parts.vocabulary);
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    return this.#bytes.streamDecoder((id) => this.vocabulary.shown(id, options), this.#parts.dropsFirstSpace);
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): SentencePieceBpe {
    return new SentencePieceBpe({ ...this.#parts, ...this.vocabulary.extended(tokens, roles) });
  }

  protected override ownJson(): OwnJson {
    const { merges } = this.#parts;
    return {
      ...this.#parts.json,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: this.roles.unk ?? null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: this.#parts.fusesUnknown,
        byte_fallback: true,
        ignore_merges: false,
        vocab: Object.fromEntries(this.#parts.vocabulary),
        merges: mergesToJson(merges instanceof ScoredMerges ? merges.pairs() : merges),
      } as TokenizerJson["model"],
    };
  }

  protected override encodeSegment(text: string, out: IntList, continues: boolean): void {
    const whole = continues ? this.#unprefixed(text) : this.#prefixed(text, out.length === 0);
    const start = out.length;
    const append = (id: number): void => {
      const isRepeated = id === this.unknown && out.length > start && out.at(out.length - 1) === id;
      if (!isRepeated || !this.#parts.fusesUnknown) out.push(id);
    };
    if (!this.#cutsWords) this.#encodeWord(whole).forEach(append);
    else for (const word of whole.match(words) ?? []) this.#memory.idsOf(word).forEach(append);
  }

  protected override wordBoundary(text: string): number {
    const { spacePrefix, normalizer } = this.#parts;
    return this.#cutsWords && spacePrefix === "never" && normalizer === null ? lastWordBoundary(text) : 0;
  }

  protected override cutSegment(text: string, isFirst: boolean): CutWord[] {
    const whole = this.#prefixed(text, isFirst);
    const stretches = this.#cutsWords ? (whole.match(words) ?? []) : [whole];
    const cuts = stretches.map((word) => mergeSteps(word, this.#firstIds(word), this.#merges));
    // Neighbouring unknown tokens that become one are told as they are.
    return this.#parts.fusesUnknown && cuts.some(({ ids }) => ids.includes(this.unknown ?? -1))
      ? super.cutSegment(text, isFirst)
      : cuts;
  }

  #prefixed(text: string, isFirst: boolean): string {
    const { spacePrefix } = this.#parts;
    const isPrefixed = spacePrefix === "unless there" || (spacePrefix === "first, unless there" && isFirst);
    return isPrefixed && !text.startsWith(space) ? space + text : text;
  }

  /** Normalized text without the space that normalizing has put before it. */
  #unprefixed(text: string): string {
    return this.#parts.spacePrefix === "always" ? text.slice(space.length) : text;
  }

  #encodeWord(word: string): readonly number[] {
    const ids = this.#firstIds(word);
    return [...ids.subarray(0, mergeWord(ids, ids.length, this.#merges))];
  }

  #firstIds(word: string): Int32Array {
    return Int32Array.from([...word].flatMap((character) => this.#characterIds(character)));
  }

  #characterIds(character: string): number[] {
    const id = this.#parts.vocabulary.get(character);
    if (id !== undefined) return [id];
    const bytes = this.#bytes.idsOf(character);
    if (bytes) return bytes;
    if (this.unknown !== null) return [this.unknown];
    throw new DataError(
      `encode: ${JSON.stringify(character)} is not in the vocabulary of ${this.vocabularySize} tokens, and neither are its ` +
        "bytes; use a tokenizer that has them, or an unk token",
    );
  }
}

/** Merges as older readers know them, unless a token has a space of its own. */
function mergesToJson(merges: MergePairs): readonly unknown[] {
  return merges.flat().some((token) => token.includes(" ")) ? merges : merges.map((pair) => pair.join(" "));
}

function spacesMarked(text: string): string {
  return text.replaceAll(" ", space);
}

function withSpace(text: string): string {
  return text === "" ? "" : space + spacesMarked(text);
}

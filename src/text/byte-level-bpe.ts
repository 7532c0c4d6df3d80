import { DataError } from "../core/errors.ts";
import { byteLevelAlphabet, bytesOfSpelling, spellBytes } from "./byte-alphabet.ts";
import type { CutWord } from "./cut-word.ts";
import { mergeSteps, plainCut } from "./cut-word.ts";
import { Gpt2Words } from "./gpt2-words.ts";
import { IntList } from "./int-list.ts";
import { MergeTable, mergeIds } from "./merge-table.ts";
import { mergeWord } from "./merge-word.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import type { SequenceTemplate } from "./sequence-template.ts";
import { TokenBytes } from "./token-bytes.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";
import { WordTable } from "./word-table.ts";

/** Everything a byte-level BPE tokenizer consists of. Tokens are spelled in the alphabet of {@link spellBytes}. */
export interface ByteLevelBpeParts extends VocabularyParts {
  /** Tokens and their ids: single bytes and all that merging makes. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs of tokens in the order in which they merge. */
  readonly merges: readonly (readonly [left: string, right: string])[];
  /** GPT-2's words when left out. */
  readonly preTokenizer?: PreTokenizer;
  /** Unicode normalization before cutting; none when left out. */
  readonly normalization?: "NFC" | "NFD" | "NFKC" | "NFKD" | null;
  /** In its place, any change of text before cutting, with its `normalizer` entry of `tokenizer.json`. */
  readonly normalizer?: { readonly normalize: (text: string) => string; readonly json: object } | null;
  /** What the last byte of a word is spelled with, as CLIP's `</w>`: decoding gives a space for it; none when left out. */
  readonly endOfWord?: string | null;
  /** Take a word that is a token as that token, whatever its merges. */
  readonly ignoreMerges?: boolean;
  /** Special tokens around a text; none when left out. */
  readonly template?: SequenceTemplate | null;
}

/** Words longer than this, in bytes, are encoded anew each time. */
const longestRemembered = 96;
/** When this many distinct words are remembered, all are forgotten: bounds the memory at some 10 MB. */
const mostRemembered = 1 << 17;

/**
 * Byte-pair encoding over the bytes of UTF-8 text, as in GPT-2: any text has ids, and decoding them gives it back.
 * Distinct words are encoded once and remembered.
 *
 * @see Radford et al. (2019), "Language models are unsupervised multitask learners", section 2.2.
 */
export class ByteLevelBpe extends VocabularyTokenizer {
  override readonly kind = "byte-level-bpe";
  readonly #parts: ByteLevelBpeParts;
  readonly #preTokenizer: PreTokenizer;
  readonly #merges: MergeTable;
  /** Id of each byte, −1 where the vocabulary lacks it. */
  readonly #byteIds = new Int32Array(256).fill(-1);
  /** The same of a byte that ends a word. */
  readonly #lastByteIds = new Int32Array(256).fill(-1);
  readonly #tokenBytes: TokenBytes;
  readonly #words = new WordTable();
  /** Ids of remembered words one after the other, and where each word's end. */
  readonly #wordIds = new IntList(1 << 10);
  readonly #wordEnds = new IntList(1 << 10);
  #scratch = new Int32Array(longestRemembered);

  /**
   * @throws {CheckpointError} naming `where`, when ids collide or a merge needs or makes a token that does not exist.
   */
  constructor(parts: ByteLevelBpeParts, where = "tokenizer") {
    const { normalization, normalizer, endOfWord } = parts;
    const byForm = normalization ? (text: string): string => text.normalize(normalization) : null;
    super(where, parts.vocabulary, parts, normalizer?.normalize ?? byForm);
    this.#parts = parts;
    this.#preTokenizer = parts.preTokenizer ?? new Gpt2Words();
    this.#merges = new MergeTable(mergeIds(where, parts.vocabulary, parts.merges));
    for (const character of byteLevelAlphabet) {
      const byte = bytesOfSpelling(character)![0]!;
      this.#byteIds[byte] = parts.vocabulary.get(character) ?? -1;
      this.#lastByteIds[byte] = parts.vocabulary.get(character + (endOfWord ?? "")) ?? -1;
    }
    this.#tokenBytes = new TokenBytes(this.vocabulary, endOfWord ?? null);
  }

  /** Pairs of tokens in the order in which they merge. */
  get merges(): ByteLevelBpeParts["merges"] {
    return this.#parts.merges;
  }

  /** How text is cut into words. */
  get preTokenizer(): PreTokenizer {
    return this.#preTokenizer;
  }

  /** What the last byte of a word is spelled with; null for nothing. */
  get endOfWord(): string | null {
    return this.#parts.endOfWord ?? null;
  }

  override decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const text = this.#tokenBytes.decode(ids, options);
    return this.endOfWord === null ? text : text.replace(/ $/, "");
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const decoder = this.#tokenBytes.streamDecoder(options);
    return this.endOfWord === null ? decoder : withoutLastSpace(decoder);
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): ByteLevelBpe {
    return new ByteLevelBpe({ ...this.#parts, ...this.vocabulary.extended(tokens, roles) });
  }

  protected override ownJson(): OwnJson {
    const { merges, normalization, normalizer, endOfWord, ignoreMerges, vocabulary, template } = this.#parts;
    const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true };
    return {
      normalizer: normalizer?.json ?? (normalization ? { type: normalization } : null),
      pre_tokenizer: this.#preTokenizer.toJson(),
      ...(template ? {} : { post_processor: byteLevel }),
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: endOfWord ?? "",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: ignoreMerges ?? false,
        vocab: Object.fromEntries(vocabulary),
        merges: merges.map((pair) => pair.join(" ")),
      } as TokenizerJson["model"],
    };
  }

  protected override wordBoundary(text: string): number {
    return this.#preTokenizer.cutPoint(text);
  }

  protected override encodeSegment(text: string, out: IntList, continues: boolean): void {
    const scanner = this.#preTokenizer.scan(text, continues);
    const { bytes } = scanner;
    while (scanner.next()) {
      const { start, end } = scanner;
      if (end - start > longestRemembered) {
        const count = this.#encodeWord(bytes, start, end);
        out.append(this.#scratch, 0, count);
        continue;
      }
      const known = this.#words.size;
      const word = this.#words.indexOf(bytes, start, end);
      if (word === known) this.#remember(bytes, start, end);
      out.appendFrom(this.#wordIds, word === 0 ? 0 : this.#wordEnds.at(word - 1), this.#wordEnds.at(word));
      if (known >= mostRemembered) this.#forget();
    }
  }

  protected override cutSegment(text: string): CutWord[] {
    const scanner = this.#preTokenizer.scan(text, false);
    const words: CutWord[] = [];
    while (scanner.next()) {
      const bytes = scanner.bytes.subarray(scanner.start, scanner.end);
      const spelled = spellBytes(bytes);
      const ids = this.#scratch.slice(0, this.#encodeWord(bytes, 0, bytes.length));
      const isWhole = this.#parts.ignoreMerges && this.#parts.vocabulary.has(spelled);
      const first = Array.from(bytes, (byte, i) => this.#idOfByte(byte, i + 1 === bytes.length));
      words.push(isWhole ? plainCut(spelled, ids) : mergeSteps(spelled, first, this.#merges));
    }
    return words;
  }

  #remember(bytes: Uint8Array, start: number, end: number): void {
    this.#wordIds.append(this.#scratch, 0, this.#encodeWord(bytes, start, end));
    this.#wordEnds.push(this.#wordIds.length);
  }

  #forget(): void {
    this.#words.clear();
    this.#wordIds.clear();
    this.#wordEnds.clear();
  }

  /** Writes the ids of one word to the scratch array and returns their number. */
  #encodeWord(bytes: Uint8Array, start: number, end: number): number {
    if (end - start > this.#scratch.length) this.#scratch = new Int32Array(end - start);
    const ids = this.#scratch;
    if (this.#parts.ignoreMerges) {
      const id = this.#parts.vocabulary.get(spellBytes(bytes.subarray(start, end)));
      if (id !== undefined) {
        ids[0] = id;
        return 1;
      }
    }
    for (let at = start; at < end; at++) {
      const id = this.#idOfByte(bytes[at]!, at + 1 === end);
      if (id < 0) {
        this.#forget();
        throw new DataError(
          `encode: byte 0x${bytes[at]!.toString(16).padStart(2, "0")} is not in the vocabulary of ${this.vocabularySize} ` +
            "tokens, so this text cannot be written with it; use a tokenizer that has all 256 bytes",
        );
      }
      ids[at - start] = id;
    }
    return mergeWord(ids, end - start, this.#merges);
  }

  #idOfByte(byte: number, isLast: boolean): number {
    return (isLast ? this.#lastByteIds : this.#byteIds)[byte]!;
  }
}

/** Keeps a space back until something follows it. */
function withoutLastSpace(decoder: StreamDecoder): StreamDecoder {
  let pending = "";
  const add = (piece: string): string => {
    if (piece === "") return "";
    const text = pending + piece;
    pending = text.endsWith(" ") ? " " : "";
    return pending === "" ? text : text.slice(0, -1);
  };
  return {
    push: (id) => add(decoder.push(id)),
    flush() {
      const text = add(decoder.flush());
      pending = "";
      return text;
    },
  };
}

import { CheckpointError, DataError } from "../core/errors.ts";
import { ByteTokens } from "./byte-tokens.ts";
import type { CutWord } from "./cut-word.ts";
import { plainCut } from "./cut-word.ts";
import type { IntList } from "./int-list.ts";
import type { MetaspaceWords } from "./metaspace.ts";
import { metaspace, metaspaceWords } from "./metaspace.ts";
import type { TextNormalizer } from "./text-normalizer.ts";
import type { DecodeOptions, StreamDecoder, TokenizerJson, TokenRoles } from "./tokenizer.ts";
import { UnigramLattice } from "./unigram-lattice.ts";
import type { OwnJson, VocabularyParts } from "./vocabulary-tokenizer.ts";
import { VocabularyTokenizer } from "./vocabulary-tokenizer.ts";
import { WordMemory } from "./word-memory.ts";

/** Everything a unigram tokenizer consists of. */
export interface UnigramParts extends VocabularyParts {
  /** Pieces and their log-probabilities, in nats, by id. */
  readonly pieces: readonly (readonly [piece: string, score: number])[];
  /** Id of the piece that stands for characters that are none; null: such text is refused. */
  readonly unknown: number | null;
  /** Whether text without pieces becomes the tokens of its bytes. */
  readonly fallsBackToBytes: boolean;
  readonly roles: TokenRoles;
  readonly normalizer: TextNormalizer;
  readonly words: MetaspaceWords;
  readonly decoding: UnigramDecoding;
  /** The entries of `tokenizer.json` that say all this. */
  readonly json: Pick<TokenizerJson, "normalizer" | "pre_tokenizer" | "decoder">;
}

/** How tokens become text. */
export interface UnigramDecoding {
  /** Whether tokens of bytes are joined to characters. */
  readonly joinsBytes: boolean;
  /** Whether the space that a text begins with is left out. */
  readonly dropsFirstSpace: boolean;
}

/**
 * A unigram language model over pieces of text: each word is cut into the pieces whose probabilities have the largest
 * product. What T5, XLM-R, ALBERT and DeBERTa have from SentencePiece. Ids are those of the `tokenizers` library.
 *
 * @see Kudo (2018), "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
 * Candidates", arXiv:1804.10959, section 3.2.
 */
export class Unigram extends VocabularyTokenizer {
  override readonly kind = "unigram";
  readonly #parts: UnigramParts;
  readonly #lattice: UnigramLattice;
  readonly #bytes: ByteTokens;
  readonly #memory = new WordMemory((word) => this.#encodeWord(word));

  /**
   * @throws {CheckpointError} naming `where`, when ids collide or there is no piece with the id of the unknown one.
   */
  constructor(parts: UnigramParts, where = "tokenizer") {
    const ids = new Map(parts.pieces.map(([piece], id) => [piece, id]));
    super(where, ids, parts, parts.normalizer.normalize);
    const { unknown, pieces } = parts;
    if (unknown !== null && unknown >= pieces.length) {
      throw new CheckpointError(
        `${where}: unk_id is ${unknown}, but the vocabulary has ${pieces.length} tokens; fetch or write the file again`,
      );
    }
    this.#parts = parts;
    this.#lattice = new UnigramLattice(pieces, unknown ?? -1);
    this.#bytes = new ByteTokens(ids);
  }

  override streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const { joinsBytes, dropsFirstSpace } = this.#parts.decoding;
    if (joinsBytes) return this.#bytes.streamDecoder((id) => this.vocabulary.shown(id, options), dropsFirstSpace);
    let isFirst = true;
    return {
      push: (id) => {
        const token = this.vocabulary.shown(id, options);
        if (token === null) return "";
        const text = token.replaceAll(metaspace, isFirst && dropsFirstSpace ? "" : " ");
        isFirst = false;
        return text;
      },
      flush: () => {
        isFirst = true;
        return "";
      },
    };
  }

  override withSpecialTokens(tokens: readonly string[], roles: TokenRoles = {}): Unigram {
    return new Unigram({ ...this.#parts, ...this.vocabulary.extended(tokens, roles) });
  }

  protected override ownJson(): OwnJson {
    return {
      ...this.#parts.json,
      model: {
        type: "Unigram",
        unk_id: this.#parts.unknown,
        vocab: this.#parts.pieces,
        byte_fallback: this.#parts.fallsBackToBytes,
      } as TokenizerJson["model"],
    };
  }

  protected override encodeSegment(text: string, out: IntList, continues: boolean): void {
    const { words } = this.#parts;
    const encode = words.splits || words.dropsWhiteSpace ? this.#memory : null;
    for (const word of metaspaceWords(words, text, out.length === 0, continues)) {
      for (const id of encode?.idsOf(word) ?? this.#encodeWord(word)) out.push(id);
    }
  }

  protected override wordBoundary(text: string): number {
    const { words, normalizer } = this.#parts;
    const cutsAtSpaces = words.dropsWhiteSpace || (words.splits && words.scheme !== "first");
    if (!cutsAtSpaces || !normalizer.isLocal) return 0;
    // Behind other characters than these, such as U+200B, the normalizer may leave a space.
    const ends = [...text.matchAll(/[\p{L}\p{Nd}](?= )/gu)].at(-1);
    return ends ? ends.index + ends[0].length : 0;
  }

  protected override cutSegment(text: string, isFirst: boolean): CutWord[] {
    const { pieces, words } = this.#parts;
    return [...metaspaceWords(words, text, isFirst, false)].map((word) => {
      const ids = this.#encodeWord(word);
      const scores = ids.map((id) => pieces[id]?.[1] ?? Number.NEGATIVE_INFINITY);
      return { ...plainCut(word, ids), scores };
    });
  }

  #encodeWord(word: string): readonly number[] {
    const { unknown } = this.#parts;
    const ids: number[] = [];
    const path = this.#lattice.best(word);
    for (let i = 0; i < path.length; ) {
      const first = path[i++]!;
      let { end } = first;
      if (first.piece !== (unknown ?? -1)) {
        ids.push(first.piece);
        continue;
      }
      while (i < path.length && path[i]!.piece === first.piece) end = path[i++]!.end;
      for (const id of this.#withoutPieces(word.slice(first.start, end))) ids.push(id);
    }
    return ids;
  }

  /** Ids of neighbouring characters that are no pieces. */
  #withoutPieces(text: string): readonly number[] {
    const { unknown, fallsBackToBytes } = this.#parts;
    // The spelling of the unknown piece itself is a piece.
    const id = this.vocabulary.modelTokens.get(text);
    if (id !== undefined) return [id];
    const bytes = fallsBackToBytes ? this.#bytes.idsOf(text) : null;
    if (bytes) return bytes;
    if (unknown !== null) return [unknown];
    throw new DataError(
      `encode: ${JSON.stringify(text)} is not in the vocabulary of ${this.vocabularySize} tokens, and neither are its ` +
        "bytes; use a tokenizer that has them, or an unk token",
    );
  }
}

import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import type { ProtobufField } from "../files/protobuf.ts";
import { protobufFields } from "../files/protobuf.ts";

/** What a piece is: text, the unknown piece, a control token, text that is always whole, nothing, or one byte. */
export type PieceType = "normal" | "unknown" | "control" | "user-defined" | "unused" | "byte";

/** One piece of a SentencePiece model; its id is its place. */
export interface ModelPiece {
  readonly piece: string;
  /** Log-probability in nats of a unigram model, minus the rank of a merge in a BPE model. */
  readonly score: number;
  readonly type: PieceType;
}

/** What a SentencePiece model file says. */
export interface SentencePieceModel {
  readonly pieces: readonly ModelPiece[];
  readonly kind: "unigram" | "bpe";
  readonly fallsBackToBytes: boolean;
  /** Ids of tokens with a role, null for those that the model does not have. */
  readonly ids: Readonly<Record<"unk" | "bos" | "eos" | "pad", number | null>>;
  /** The map of characters that text is normalized by, as in the file; empty for none. */
  readonly charsmap: Uint8Array;
  readonly addsSpace: boolean;
  readonly removesExtraSpaces: boolean;
}

/** Piece types by their numbers; files leave out 1. */
const pieceTypes: readonly (PieceType | undefined)[] = [
  undefined,
  "normal",
  "unknown",
  "control",
  "user-defined",
  "unused",
  "byte",
];
/** Kinds of models by their numbers; files leave out 1. */
const modelKinds: readonly (string | undefined)[] = [undefined, "unigram", "bpe", "word", "char"];
const strings = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a SentencePiece model: the protobuf message `ModelProto` of `spiece.model`, `tokenizer.model` and the like.
 *
 * @param where - What messages call the file.
 * @see Kudo and Richardson (2018), "SentencePiece", arXiv:1808.06226, section 4; `sentencepiece_model.proto` beside its
 * sources has the numbers of the fields.
 * @throws {CheckpointError} when it is damaged or something else.
 * @throws {UnsupportedError} when it is of words or characters, or writes spaces in another way than `▁` before a word.
 */
export function readSentencePieceModel(bytes: Uint8Array, where: string): SentencePieceModel {
  const fields = [...protobufFields(bytes, where)];
  const pieces = fields.flatMap(({ number, value }) => (number === 1 ? [readPiece(value, where)] : []));
  const unk = pieces.findIndex(({ type }) => type === "unknown");
  if (unk < 0) throw foreign(where, pieces.length === 0 ? "has no pieces" : "has no unknown piece");
  const repeated = firstRepeated(pieces);
  if (repeated !== null) throw foreign(where, `has the piece ${JSON.stringify(repeated)} twice`);
  const trainer = new Message(fields, 2, where);
  const normalizer = new Message(fields, 3, where);
  if (trainer.flag(24, false)) throw unsupported(where, "writes spaces behind words (treat_whitespace_as_suffix)");
  if (!normalizer.flag(5, true)) throw unsupported(where, "leaves spaces as they are (escape_whitespaces: false)");
  const idOf = (field: number, otherwise: number): number | null => {
    const id = trainer.number(field, otherwise);
    return id >= 0 && id < pieces.length ? id : null;
  };
  return {
    pieces,
    kind: readKind(trainer.number(3, 1), where),
    fallsBackToBytes: trainer.flag(35, false),
    ids: { unk, bos: idOf(41, 1), eos: idOf(42, 2), pad: idOf(43, -1) },
    charsmap: normalizer.bytes(2),
    addsSpace: normalizer.flag(3, true),
    removesExtraSpaces: normalizer.flag(4, true),
  };
}

/** An inner message: the fields of all that have its number, of those of one number the last; none where there is none. */
class Message {
  readonly #fields: ReadonlyMap<number, number | Uint8Array>;
  readonly #where: string;

  constructor(outer: readonly ProtobufField[], number: number, where: string) {
    this.#where = where;
    this.#fields = new Map(
      outer.flatMap((field) => {
        if (field.number !== number) return [];
        if (typeof field.value === "number")
          throw foreign(where, `has a number in field ${number}, which is a message`);
        return Array.from(protobufFields(field.value, where), (inner) => [inner.number, inner.value] as const);
      }),
    );
  }

  number(field: number, otherwise: number): number {
    const value = this.#fields.get(field) ?? otherwise;
    if (typeof value !== "number") throw foreign(this.#where, `has text in field ${field}, which is a number`);
    return value;
  }

  flag(field: number, otherwise: boolean): boolean {
    return this.number(field, Number(otherwise)) !== 0;
  }

  bytes(field: number): Uint8Array {
    const value = this.#fields.get(field) ?? new Uint8Array();
    if (typeof value === "number") throw foreign(this.#where, `has a number in field ${field}, which is text`);
    return value;
  }
}

function readPiece(message: number | Uint8Array, where: string): ModelPiece {
  const piece = new Message([{ number: 1, value: message }], 1, where);
  const score = piece.number(2, 0);
  const type = pieceTypes[piece.number(3, 1)];
  let text: string;
  try {
    text = strings.decode(piece.bytes(1));
  } catch {
    throw foreign(where, "has a piece that is no UTF-8");
  }
  if (!Number.isFinite(score)) throw foreign(where, `has the score ${score} for the piece ${JSON.stringify(text)}`);
  if (type === undefined || text === "") throw foreign(where, `has a piece ${JSON.stringify(text)} of no known type`);
  return { piece: text, score, type };
}

function readKind(number: number, where: string): "unigram" | "bpe" {
  const kind = modelKinds[number];
  if (kind === "unigram" || kind === "bpe") return kind;
  throw unsupported(where, `is of the kind ${kind ?? number}`);
}

function firstRepeated(pieces: readonly ModelPiece[]): string | null {
  const seen = new Set<string>();
  for (const { piece } of pieces) if (seen.size === seen.add(piece).size) return piece;
  return null;
}

function foreign(where: string, what: string): CheckpointError {
  return new CheckpointError(
    `${where}: ${what}, so it is no SentencePiece model; the file is damaged or of another format, fetch it again`,
  );
}

function unsupported(where: string, what: string): UnsupportedError {
  return new UnsupportedError(
    `${where}: ${what}; of SentencePiece's models those of unigrams and BPE with ▁ before words are read, take one of them`,
  );
}

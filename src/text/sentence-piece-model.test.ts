import { expect, test } from "vitest";
import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { readSentencePieceFiles } from "./sentence-piece-files.ts";
import { readSentencePieceModel } from "./sentence-piece-model.ts";

const message = (field: number, inner: readonly number[]): number[] => [field * 8 + 2, inner.length, ...inner];
const text = (field: number, value: string): number[] => message(field, [...new TextEncoder().encode(value)]);
const float = (field: number, value: number): number[] => [
  field * 8 + 5,
  ...new Uint8Array(Float32Array.of(value).buffer),
];
const piece = (name: string, score: number, type?: number): number[] =>
  message(1, [...text(1, name), ...float(2, score), ...(type === undefined ? [] : [3 * 8, type])]);

const small = [...piece("<unk>", 0, 2), ...piece("▁a", -1.5), ...piece("<0x0A>", 0, 6)];
const read = (bytes: readonly number[]) => readSentencePieceModel(Uint8Array.from(bytes), "m");

test("a model is its pieces and what its specifications say", () => {
  const minusOne = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
  const trainer = message(2, [3 * 8, 2, 0xc8, 2, ...minusOne]);
  expect(read(small)).toEqual({
    pieces: [
      { piece: "<unk>", score: 0, type: "unknown" },
      { piece: "▁a", score: -1.5, type: "normal" },
      { piece: "<0x0A>", score: 0, type: "byte" },
    ],
    kind: "unigram",
    fallsBackToBytes: false,
    ids: { unk: 0, bos: 1, eos: 2, pad: null },
    charsmap: new Uint8Array(),
    addsSpace: true,
    removesExtraSpaces: true,
  });
  const { kind, ids } = read([...small, ...trainer]);
  expect([kind, ids.bos]).toEqual(["bpe", null]);
  const normalizer = message(3, [...message(2, [1, 2]), 3 * 8, 0, 4 * 8, 0]);
  expect(read([...small, ...normalizer])).toMatchObject({
    charsmap: Uint8Array.of(1, 2),
    addsSpace: false,
    removesExtraSpaces: false,
  });
});

test.each([
  [
    [],
    CheckpointError,
    "m: has no pieces, so it is no SentencePiece model; the file is damaged or of another format, fetch it again",
  ],
  [piece("a", 0), CheckpointError, "has no unknown piece"],
  [
    small.slice(0, -1),
    CheckpointError,
    "m: byte 31 begins something of 15 bytes, 14 are left; the file is cut off or of another format, fetch it again",
  ],
  [
    [...small, 10, 255, 255, 255, 255, 255, 255, 255, 255, 127],
    CheckpointError,
    "begins something of 9223372036854776000 bytes",
  ],
  [[...small, 8 + 7], CheckpointError, "begins a field of type 7"],
  [[...small, 0], CheckpointError, "names the field 0"],
  [[255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], CheckpointError, "begins a number without end"],
  [[...small, ...piece("▁a", -2)], CheckpointError, 'has the piece "▁a" twice'],
  [[...small, ...piece("b", Number.NaN)], CheckpointError, "has the score NaN"],
  [[...small, ...piece("b", 0, 9)], CheckpointError, "of no known type"],
  [[...small, ...message(1, message(1, [0xff]))], CheckpointError, "has a piece that is no UTF-8"],
  [[...small, 2 * 8, 1], CheckpointError, "has a number in field 2, which is a message"],
  [
    [...small, ...message(2, [3 * 8, 3])],
    UnsupportedError,
    "m: is of the kind word; of SentencePiece's models those of unigrams and BPE with ▁ before words are read, take one of them",
  ],
  [[...small, ...message(2, [3 * 8, 4])], UnsupportedError, "m: is of the kind char;"],
  [[...small, ...message(3, [5 * 8, 0])], UnsupportedError, "escape_whitespaces"],
])("what is no such model is told so: case %#", (bytes, kind, says) => {
  expect(() => read(bytes)).toThrow(kind);
  expect(() => read(bytes)).toThrow(says);
});

test("a family that numbers pieces in a way of its own is refused", async () => {
  const files = {
    where: (name: string) => name,
    read: async (name: string) => (name === "config.json" ? '{"model_type": "pegasus"}' : null),
    readBytes: async (name: string) => (name === "spiece.model" ? Uint8Array.from(small) : null),
  };
  await expect(readSentencePieceFiles(files, {})).rejects.toThrow(
    new UnsupportedError(
      "spiece.model: how pegasus numbers the pieces of a SentencePiece model is not known here, that of T5, XLM-R and Llama is; " +
        "open the folder with transformers and save its tokenizer as tokenizer.json",
    ),
  );
});

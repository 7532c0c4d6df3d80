import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { bitsOf } from "../core/float-formats.ts";
import { elementCount } from "../core/shape.ts";
import { memorySource, pieceBytes } from "./byte-source.ts";
import { readSafetensors, safetensorsChunks } from "./safetensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors-file.ts";
import type { WritableTensor } from "./tensor-source.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Written by the Python package, version 0.8.0: F32 `h.0.w` and `b`, F16 `a`, I64 `ids`. */
const fromPython = Buffer.from(
  "CAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJpZHMiOnsiZHR5cGUiOiJJNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlswLDE2XX0sImIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOlsxNiwyOF19LCJoLjAudyI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwzXSwiZGF0YV9vZmZzZXRzIjpbMjgsNTJdfSwiYSI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzUyLDU4XX19ICAgICAHAAAAAAAAAPj/////////AADAPwAAEMAAAAAAAADAPwAAEMAAAAAA5rFhf8IWAQAAAACAADz/ewEA",
  "base64",
);
/** The same: BF16 `z`, I32 `i`, a scalar `é` and an empty tensor `e`. */
const oddsAndEnds = Buffer.from(
  "+AAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJlIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDRdLCJkYXRhX29mZnNldHMiOlswLDBdfSwiw6kiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzAsNF19LCJpIjp7ImR0eXBlIjoiSTMyIiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbNCw4XX0sInoiOnsiZHR5cGUiOiJCRjE2Iiwic2hhcGUiOlsyXSwiZGF0YV9vZmZzZXRzIjpbOCwxMl19fQAAgD8FAAAAgD8AwA==",
  "base64",
);
const weight = Float32Array.from([1.5, -2.25, 0, 3e38, 1e-40, -0]);

function tensor(name: string, values: Float32Array | Int32Array, extra: Partial<WritableTensor> = {}): WritableTensor {
  return { name, shape: [values.length], read: () => values, ...extra };
}

async function bytesOf(...[tensors, options]: [WritableTensor[], Parameters<typeof safetensorsChunks>[2]?]) {
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks("test", tensors, options)) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

/** A file with the given header text and so many bytes of data. */
function fileOf(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const json = Buffer.from(header as string);
  const bytes = Buffer.alloc(8 + json.length + dataBytes);
  bytes.writeBigUInt64LE(BigInt(json.length));
  json.copy(bytes, 8);
  return bytes;
}

const open = (bytes: Uint8Array) => readSafetensors(memorySource(bytes, "model.safetensors"));

describe("files of the reference implementation", () => {
  test("are read", async () => {
    const file = await open(fromPython);
    expect(file.names()).toEqual(["ids", "b", "h.0.w", "a"]);
    expect(file.metadata.get("format")).toBe("pt");
    expect(file.info("h.0.w")).toMatchObject({ dtype: "F32", shape: [2, 3] });
    expect(bitsOf(await file.read("h.0.w"))).toEqual(bitsOf(weight));
    expect(await file.read("a")).toEqual(Float32Array.from([1, 65504, 2 ** -24]));
    expect(await file.readIntegers("ids")).toEqual(Int32Array.from([7, -8]));

    const odd = await open(oddsAndEnds);
    expect(await odd.read("z")).toEqual(Float32Array.from([1, -2]));
    expect(await odd.read("é")).toEqual(Float32Array.from([1]));
    expect(await odd.read("e")).toEqual(new Float32Array(0));
  });

  test("are written byte for byte, in whatever order the tensors come", async () => {
    const written = await bytesOf([
      tensor("a", Float32Array.from([1, 65504, 6e-8]), { dtype: "F16" }),
      tensor("h.0.w", weight, { shape: [2, 3] }),
      tensor("ids", Int32Array.from([7, -8]), { dtype: "I64" }),
      tensor("b", weight.slice(0, 3)),
    ]);
    expect(written).toEqual(fromPython);
    const odd = await bytesOf([
      tensor("z", Float32Array.from([1, -2]), { dtype: "BF16" }),
      tensor("é", Float32Array.from([1]), { shape: [] }),
      tensor("i", Int32Array.from([5]), { dtype: "I32" }),
      tensor("e", new Float32Array(0), { shape: [0, 4] }),
    ]);
    expect(odd).toEqual(oddsAndEnds);
  });
});

describe("files on disk", () => {
  test.each(["F32", "F16", "BF16"] as const)("save → load → save gives the same bytes as %s", async (dtype) => {
    // More than one conversion chunk, and not a whole number of them.
    const values = Float32Array.from({ length: pieceBytes + 7 }, (_, i) => Math.sin(i) * 2 ** (i % 15));
    const first = join(folder, `${dtype}.safetensors`);
    const second = join(folder, `${dtype}-again.safetensors`);
    await writeSafetensors(first, [tensor("w", values), tensor("b", values.subarray(1, 4))], { dtype });
    const file = await openSafetensors(first);
    const copies = file.names().map((name) => ({ name, shape: file.info(name).shape, read: () => file.read(name) }));
    await writeSafetensors(second, copies, { dtype });
    const isExact = Buffer.from((await file.read("w")).buffer).equals(Buffer.from(values.buffer));
    expect(isExact).toBe(dtype === "F32");
    await file.close();
    expect((await readFile(second)).equals(await readFile(first))).toBe(true);
  });

  test("data starts at a multiple of 8 bytes and extra metadata is kept", async () => {
    for (let length = 1; length < 9; length++) {
      const bytes = await bytesOf([tensor("w".repeat(length), weight)], { metadata: { step: "3" } });
      expect(bytes.readBigUInt64LE() % 8n).toBe(0n);
      expect((await open(bytes)).metadata).toEqual(new Map(Object.entries({ format: "pt", step: "3" })));
    }
  });

  test("values are read into memory of the caller's", async () => {
    const file = await open(fromPython);
    const into = new Float32Array(8);
    await file.read("b", into.subarray(2, 5));
    expect(into).toEqual(Float32Array.from([0, 0, 1.5, -2.25, 0, 0, 0, 0]));
    await expect(file.read("b", into)).rejects.toThrow("b: holds 3 values, 8 are expected");
  });

  test("names that JavaScript treats specially are ordinary", async () => {
    const names = ["__proto__", "constructor", "10", "2"];
    const file = await open(await bytesOf(names.map((name, i) => tensor(name, Float32Array.from([i])))));
    expect(file.names()).toEqual(["10", "2", "__proto__", "constructor"]);
    expect(await file.read("__proto__")).toEqual(Float32Array.from([0]));
    expect(file.has("toString")).toBe(false);
  });

  test("a missing file, a folder and impostors are named", async () => {
    const path = join(folder, "none.safetensors");
    await expect(openSafetensors(path)).rejects.toThrow(`${path}: cannot read: it does not exist`);
    await expect(openSafetensors(folder)).rejects.toThrow("is not a file");
    await writeFile(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    await expect(openSafetensors(path)).rejects.toThrow("Git LFS pointer");
  });
});

describe("writing refuses", () => {
  const cases: [string, WritableTensor[], string][] = [
    ["two tensors of one name", [tensor("w", weight), tensor("w", weight)], "w: two tensors have this name"],
    ["values of another shape", [tensor("w", weight, { shape: [7] })], "w: 6 values do not fill [7]"],
    ["floats as integers", [tensor("w", weight, { dtype: "I64" })], "a Float32Array cannot be written as I64"],
    ["what float16 cannot hold", [tensor("w", weight, { dtype: "F16" })], "too large for float16"],
    ["the reserved name", [tensor("__metadata__", weight)], "reserved"],
    ["impossible shapes", [tensor("w", weight, { shape: [2 ** 40, 2 ** 40] })], "impossible"],
  ];
  test.each(cases)("%s", async (_, tensors, message) => {
    await expect(bytesOf(tensors)).rejects.toThrow(message);
  });
});

describe("damaged files", () => {
  const entry = (dtype: unknown, shape: unknown, offsets: unknown) =>
    JSON.stringify({ dtype, shape, data_offsets: offsets });
  const f32 = (begin: number, end: number) => entry("F32", [(end - begin) / 4], [begin, end]);
  const cases: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(0), "has 0 bytes"],
    ["header longer than the file", fromPython.subarray(0, 100), "claims a header of 264 bytes in a file of 100"],
    ["header of 2⁶³ bytes", Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x80, 1]), "claims a header of 9223372036854775808"],
    ["data cut off", fromPython.subarray(0, 329), "take 58 bytes, the file has 57: it is truncated"],
    ["data added", Buffer.concat([fromPython, Buffer.alloc(1)]), "something was added"],
    ["not JSON", fileOf("{nonsense}"), "is not valid JSON"],
    ["not UTF-8", fileOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), "is not UTF-8 text"],
    ["not an object", fileOf("[]"), "does not start with {"],
    ["unknown dtype", fileOf(`{"w":${entry("F33", [1], [0, 4])}}`, 4), `"w" has the dtype "F33"`],
    ["inherited dtype", fileOf(`{"w":${entry("toString", [1], [0, 4])}}`, 4), "has the dtype"],
    ["negative length", fileOf(`{"w":${entry("F32", [-1], [0, 4])}}`, 4), "has the shape [-1]"],
    ["fractional length", fileOf(`{"w":${entry("F32", [0.5], [0, 2])}}`, 2), "has the shape [0.5]"],
    ["huge length", fileOf(`{"w":${entry("F32", [2 ** 52], [0, 4])}}`, 4), "an impossible number of bytes"],
    ["huge product", fileOf(`{"w":${entry("F32", [2 ** 30, 2 ** 30], [0, 4])}}`, 4), "an impossible number of bytes"],
    [
      "lengths beyond integers",
      fileOf('{"w":{"dtype":"F32","shape":[1e300],"data_offsets":[0,4]}}', 4),
      "has the shape",
    ],
    ["shape against offsets", fileOf(`{"w":${entry("F32", [2], [0, 4])}}`, 4), "needs 8 bytes, its offsets span 4"],
    [
      "a deep abyss",
      fileOf(`{"w":{"dtype":${"[".repeat(1e6)}${"]".repeat(1e6)}}}`),
      "nests objects and lists more than 100 deep",
    ],
    ["offsets backwards", fileOf(`{"w":${entry("F32", [1], [4, 0])}}`, 4), "its offsets span -4"],
    ["three offsets", fileOf(`{"w":${entry("F32", [1], [0, 4, 8])}}`, 4), "has the data_offsets [0,4,8]"],
    ["half a byte", fileOf(`{"w":${entry("F4", [1], [0, 1])}}`, 1), "an impossible number of bytes"],
    ["overlap", fileOf(`{"v":${f32(0, 8)},"w":${f32(4, 12)}}`, 12), `"w" at byte 4 overlaps`],
    ["hole", fileOf(`{"v":${f32(0, 4)},"w":${f32(8, 12)}}`, 12), `"w" at byte 8 leaves a hole`],
    ["out of range", fileOf(`{"w":${f32(0, 4000)}}`, 12), "take 4000 bytes, the file has 12"],
    ["two tensors of one name", fileOf(`{"w":${f32(0, 4)},"w":${f32(4, 8)}}`, 8), `the key "w" twice`],
    ["the same name escaped", fileOf(`{"w":${f32(0, 0)},"\\u0077":${f32(0, 0)}}`, 0), `the key "w" twice`],
    ["a dtype twice", fileOf('{"w":{"dtype":"F32","dtype":"I32","shape":[0],"data_offsets":[0,0]}}'), `"dtype" twice`],
    ["entry not an object", fileOf('{"w":5}'), `the entry of "w" is a number`],
    ["metadata not text", fileOf('{"__metadata__":{"a":1}}'), "has a number under"],
  ];
  test.each(cases)("%s", async (_, bytes, message) => {
    const failure = await open(bytes).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CheckpointError);
    expect((failure as Error).message).toContain(message);
  });

  test("integers beyond 32 bits", async () => {
    const bytes = Buffer.concat([
      fileOf(`{"w":${entry("I64", [1], [0, 8])}}`),
      Buffer.from([0, 0, 0, 0x80, 0, 0, 0, 0]),
    ]);
    await expect((await open(bytes)).readIntegers("w")).rejects.toThrow("value 2147483648 does not fit");
  });

  test("reading what a dtype is not, or what is not there", async () => {
    const file = await open(fromPython);
    await expect(file.read("ids")).rejects.toThrow(
      "ids: is stored as I64, which cannot be read as floats; store it as float32, float16 or bfloat16",
    );
    await expect(file.readIntegers("a")).rejects.toThrow("cannot be read as integers");
    await expect(file.read("h.9.w")).rejects.toThrow("there is no tensor h.9.w among 4");
  });
});

describe("whatever bytes come", () => {
  /** Opens and reads everything; anything but success or a CheckpointError fails the test. */
  async function exercise(bytes: Uint8Array): Promise<void> {
    try {
      const file = await open(bytes);
      for (const name of file.names()) {
        const { dtype, shape } = file.info(name);
        // F4 has two elements a byte; nothing may claim more than the file holds.
        expect(elementCount(shape)).toBeLessThanOrEqual(2 * bytes.length);
        await (/^[IUB]\d|BOOL/.test(dtype) ? file.readIntegers(name) : file.read(name));
      }
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      expect(error.message.length).toBeLessThan(600);
    }
  }

  test("every truncation of a valid file is refused", async () => {
    for (let length = 0; length < fromPython.length; length++) {
      await expect(open(fromPython.subarray(0, length))).rejects.toBeInstanceOf(CheckpointError);
    }
  });

  test("changed bytes", async () => {
    const edits = fc.array(fc.tuple(fc.nat(fromPython.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(edits, async (list) => {
        const bytes = Uint8Array.from(fromPython);
        for (const [at, value] of list) bytes[at] = value;
        await exercise(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test("changed header text: digits, punctuation, pieces cut out and doubled", async () => {
    const header = fromPython.subarray(8, 8 + 264).toString();
    const piece = fc.constantFrom(
      "9".repeat(20),
      "-1",
      "1e999",
      "null",
      "[",
      "]",
      "{",
      "}",
      '"',
      ",",
      "0",
      "\\",
      "F64",
    );
    const edit = fc.record({ at: fc.nat(264), cut: fc.nat(12), piece, double: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        let text = header;
        for (const { at, cut, piece: insert, double } of edits) {
          const removed = text.slice(at, at + cut);
          text = text.slice(0, at) + (double ? removed + removed : insert) + text.slice(at + cut);
        }
        await exercise(fileOf(text, 58));
      }),
      { numRuns: 3000 },
    );
  });

  test("random headers of the right form", async () => {
    const number = fc.oneof(fc.nat(16), fc.integer(), fc.double(), fc.bigInt().map(Number));
    const entry = fc.record({
      dtype: fc.constantFrom("F32", "F16", "I64", "U8", "F4", "C64", "X"),
      shape: fc.oneof(fc.array(number, { maxLength: 4 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(number, number), fc.jsonValue()),
    });
    const header = fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()));
    await fc.assert(
      fc.asyncProperty(header, fc.nat(64), (value, data) => exercise(fileOf(JSON.stringify(value), data))),
      { numRuns: 1000 },
    );
  });
});

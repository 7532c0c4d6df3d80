import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { elementCount } from "../core/shape.ts";
import { memorySource } from "./byte-source.ts";
import { openGguf } from "./gguf.ts";
import type { GgufValue } from "./gguf-values.ts";
import type { GgufContents, GgufTensor } from "./gguf-writer.ts";
import { ggufChunks, writeGguf } from "./gguf-writer.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Written by ggml's own Python package (gguf 0.19.0): F32 `m` and F16 `h`, and metadata of five types. */
const fromPython = Buffer.from(
  "R0dVRgMAAAACAAAAAAAAAAUAAAAAAAAAFAAAAAAAAABnZW5lcmFsLmFyY2hpdGVjdHVyZQgAAAAEAAAAAAAAAHRlc3QBAAAAAAAAAHUEAAAABwAAAAUAAAAAAAAAd29yZHMJAAAACAAAAAIAAAAAAAAAAQAAAAAAAABhAgAAAAAAAADDqQMAAAAAAAAAeWVzBwAAAAEEAAAAAAAAAGhhbGYGAAAAAAAAPwEAAAAAAAAAbQIAAAADAAAAAAAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAAAAABoAQAAAAIAAAAAAAAAAQAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA/AAAAQAAAQEAAAIBAAACgQAAAAAAAAAAAADwAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  "base64",
);

const metadata = new Map<string, GgufValue>([
  ["general.architecture", { type: "string", value: "test" }],
  ["u", { type: "uint32", value: 7 }],
  ["words", { type: "array", elementType: "string", values: ["a", "é"] }],
  ["yes", { type: "bool", value: true }],
  ["half", { type: "float32", value: 0.5 }],
]);
const matrix = Float32Array.from([0, 1, 2, 3, 4, 5]);
const tensors: GgufTensor[] = [
  { name: "m", shape: [2, 3], dtype: "F32", read: () => matrix },
  { name: "h", shape: [2], dtype: "F16", read: () => Float32Array.from([1, -2]) },
];

async function bytesOf(contents: Partial<GgufContents>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of ggufChunks("x.gguf", { metadata, tensors, ...contents })) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

const open = (bytes: Uint8Array) => openGguf(memorySource(bytes, "x.gguf"));

describe("files of ggml's package", () => {
  test("are read", async () => {
    const file = await open(fromPython);
    expect(file.version).toBe(3);
    expect(file.metadata).toEqual(metadata);
    expect(file.names()).toEqual(["m", "h"]);
    expect(file.info("m")).toMatchObject({ dtype: "F32", shape: [2, 3] });
    expect(await file.read("m")).toEqual(matrix);
    expect(await file.read("h")).toEqual(Float32Array.from([1, -2]));
  });

  test("are written byte for byte", async () => {
    expect(await bytesOf({})).toEqual(fromPython);
  });

  test("of version 2 are read", async () => {
    const bytes = Buffer.from(fromPython);
    bytes.writeUInt32LE(2, 4);
    expect((await open(bytes)).version).toBe(2);
  });
});

const everyType: [string, GgufValue][] = [
  ["uint8", { type: "uint8", value: 255 }],
  ["int8", { type: "int8", value: -128 }],
  ["uint16", { type: "uint16", value: 65535 }],
  ["int16", { type: "int16", value: -32768 }],
  ["uint32", { type: "uint32", value: 2 ** 32 - 1 }],
  ["int32", { type: "int32", value: -(2 ** 31) }],
  ["float32", { type: "float32", value: 1.5 }],
  ["bool", { type: "bool", value: false }],
  ["string", { type: "string", value: "naïve \u{1f600}\0" }],
  ["uint64", { type: "uint64", value: 2n ** 64n - 1n }],
  ["int64", { type: "int64", value: -(2n ** 63n) }],
  ["float64", { type: "float64", value: Math.PI }],
  ["numbers", { type: "array", elementType: "float32", values: Float32Array.from([1, 2.5]) }],
  ["flags", { type: "array", elementType: "bool", values: [true, false] }],
  ["nothing", { type: "array", elementType: "string", values: [] }],
  [
    "lists",
    {
      type: "array",
      elementType: "array",
      values: [{ type: "array", elementType: "int32", values: Int32Array.from([-1, 2]) }],
    },
  ],
];

test("metadata of every type come back, in order", async () => {
  const file = await open(await bytesOf({ metadata: new Map(everyType) }));
  expect([...file.metadata]).toEqual(everyType);
});

test("a list as long as the largest vocabularies", async () => {
  const values = Array.from({ length: 130_000 }, (_, i) => `token ${i}`);
  const file = await open(
    await bytesOf({ metadata: new Map([["tokens", { type: "array", elementType: "string", values }]]) }),
  );
  const tokens = file.metadata.get("tokens");
  expect(tokens?.type === "array" && Array.from(tokens.values, String).join("\n") === values.join("\n")).toBe(true);
  expect(await file.read("m")).toEqual(matrix); // the header is longer than what is read at first
});

test.each(["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0"] as const)(
  "save → load → save of %s gives the same bytes",
  async (dtype) => {
    const values = Float32Array.from({ length: 9 * 32 * 1024 + 64 }, (_, i) => Math.sin(i) / 3);
    const alignment: [string, GgufValue] = ["general.alignment", { type: "uint32", value: 64 }];
    const first = join(folder, `${dtype}.gguf`);
    await writeGguf(first, {
      metadata: new Map([...metadata, alignment]),
      tensors: [{ name: "w", shape: [values.length / 32, 32], dtype, read: () => values }, ...tensors],
    });
    const file = await openGguf(first);
    expect(file.alignment).toBe(64);
    const copies = file.names().map((name) => ({
      name,
      shape: file.info(name).shape,
      dtype: file.info(name).dtype as GgufTensor["dtype"],
      read: () => file.read(name),
    }));
    const second = join(folder, `${dtype}-again.gguf`);
    await writeGguf(second, { metadata: file.metadata, tensors: copies });
    await file.close();
    expect((await readFile(second)).equals(await readFile(first))).toBe(true);
  },
);

describe("writing refuses", () => {
  const one = (change: Partial<GgufTensor>): Partial<GgufContents> => ({
    tensors: [{ name: "w", shape: [2, 3], dtype: "F32", read: () => matrix, ...change }],
  });
  const value = (key: string, entry: unknown): Partial<GgufContents> => ({
    metadata: new Map([[key, entry as GgufValue]]),
  });
  const cases: [string, Partial<GgufContents>, string][] = [
    ["two tensors of one name", { tensors: [...tensors, ...tensors] }, "m: two tensors have this name"],
    [
      "rows that are no whole blocks",
      one({ dtype: "Q8_0" }),
      "[2, 3] cannot be Q8_0: its rows must be multiples of 32",
    ],
    ["values of another shape", one({ shape: [7] }), "w: 6 values do not fill [7]"],
    ["five axes", one({ shape: [1, 1, 1, 2, 3] }), "more than 4 axes"],
    ["long names", one({ name: "w".repeat(64) }), "the name must be shorter than 64 bytes"],
    ["integers as floats", one({ read: () => new Int32Array(6) }), "a Int32Array cannot be written as F32"],
    ["empty keys", value("", { type: "bool", value: true }), 'the key "" is impossible'],
    ["numbers out of range", value("k", { type: "uint8", value: 256 }), "x.gguf: k: 256 does not fit uint8"],
    ["fractions as integers", value("k", { type: "int32", value: 0.5 }), "k: 0.5 does not fit int32"],
    ["numbers as 64 bits", value("k", { type: "uint64", value: 5 }), "k: 5 is not a bigint"],
    ["a number as text", value("k", { type: "string", value: 5 }), "k: 5 is not a string"],
    ["an impossible alignment", value("general.alignment", { type: "uint32", value: 24 }), "general.alignment is 24"],
  ];
  test.each(cases)("%s", async (_, contents, message) => {
    const failure = await bytesOf(contents).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CheckpointError);
    expect((failure as Error).message).toContain(message);
  });
});

const at = (text: string): number => fromPython.indexOf(text);
/** Where the numbers that describe a tensor begin: its axes, their lengths, type and offset. */
const infoOf = (name: string): number => fromPython.lastIndexOf(`\x01\0\0\0\0\0\0\0${name}`) + 9;
const m = infoOf("m");
const h = infoOf("h");

/** The bytes with some 32- or 64-bit numbers replaced. */
function patched(changes: readonly (readonly [place: number, value: number | bigint])[]): Buffer {
  const bytes = Buffer.from(fromPython);
  for (const [place, value] of changes) {
    if (typeof value === "bigint") bytes.writeBigUInt64LE(value, place);
    else bytes.writeUInt32LE(value, place);
  }
  return bytes;
}

describe("damaged files", () => {
  const cases: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(0), "ends at byte 0, in the middle of its header; it is truncated"],
    [
      "another format",
      Buffer.from("PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaa"),
      "is not a GGUF file: it starts with 0x04034b50",
    ],
    ["version 1", patched([[4, 1]]), "is GGUF version 1; versions 2 and 3"],
    ["version 4", patched([[4, 4]]), "is GGUF version 4; versions 2 and 3"],
    ["big-endian", patched([[4, 0x03000000]]), "is a big-endian GGUF file"],
    ["2⁶³ tensors", patched([[8, 2n ** 63n]]), "claims 9223372036854775808 as tensors"],
    ["more tensors than bytes", patched([[8, 10n ** 9n]]), "claims 1000000000 tensors at byte 16"],
    ["more pairs than bytes", patched([[16, 10n ** 9n]]), "claims 1000000000 metadata pairs"],
    ["a key of a terabyte", patched([[24, 10n ** 12n]]), "claims 1000000000000 bytes of a key"],
    ["an unknown value type", patched([[at("general.architecture") + 20, 13]]), "is of type 13, types are 0 to 12"],
    ["a list of a billion", patched([[at("words") + 13, 10n ** 9n]]), "claims 1000000000 elements of words"],
    ["lists in lists in lists", nested(9), "nests lists more than 8 deep"],
    ["half a bool", Buffer.from(fromPython.map((b, i) => (i === at("yes") + 7 ? 2 : b))), "yes is the bool 2"],
    ["bad UTF-8", Buffer.from(fromPython.map((b, i) => (i === at("yes") ? 0xff : b))), "is not valid UTF-8"],
    ["seven axes", patched([[m, 7]]), '"m" has 7 axes'],
    ["an endless axis", patched([[m + 4, 2n ** 62n]]), "claims 4611686018427387904 as axis length"],
    [
      "an impossible product",
      patched([
        [m + 4, 2n ** 40n],
        [m + 12, 2n ** 40n],
      ]),
      '"m" cannot be F32',
    ],
    ["an unknown tensor type", patched([[m + 20, 99]]), '"m" is of ggml type 99, which is not known'],
    ["rows that are no whole blocks", patched([[m + 20, 8]]), '"m" cannot be Q8_0 [2, 3]'],
    ["an overlap", patched([[h + 16, 0n]]), '"h" starts at 0 of the data, 32 is expected'],
    ["a hole", patched([[h + 16, 64n]]), '"h" starts at 64 of the data, 32 is expected'],
    ["data beyond the end", patched([[h + 4, 1000n]]), "its tensors end at byte"],
    ["two tensors of one name", Buffer.from(fromPython.map((b, i) => (i === h - 1 ? 0x6d : b))), 'called "m"'],
  ];
  test.each(cases)("%s", async (_, bytes, message) => {
    const failure = await open(bytes).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CheckpointError);
    expect((failure as Error).message).toContain(message);
  });
});

test("a missing file, and reading what a tensor is not", async () => {
  await expect(openGguf(join(folder, "none.gguf"))).rejects.toThrow("it does not exist");
  const path = join(folder, "python.gguf");
  await writeFile(path, fromPython);
  const file = await openGguf(path);
  await expect(file.readIntegers("m")).rejects.toThrow("cannot be read as integers");
  await expect(file.read("n")).rejects.toThrow("there is no tensor n among 2");
  await expect(file.read("m", new Float32Array(5))).rejects.toThrow("holds 6 values, 5 are expected");
  await file.close();
  const exotic = await open(
    patched([
      [m + 4, 256n],
      [m + 12, 0n],
      [m + 20, 16],
      [h + 16, 0n],
    ]),
  );
  await expect(exotic.read("m")).rejects.toThrow(
    "is stored as IQ2_XXS, which cannot be read as floats; take a file of another quantization, such as Q8_0 or Q4_K_M",
  );
});

/** A header whose one value is a list in a list in a list … */
function nested(depth: number): Buffer {
  const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
  const u64 = (value: bigint): Buffer => Buffer.from(BigUint64Array.of(value).buffer);
  const inner = Array.from({ length: depth }, () => [u32(9), u64(1n)]).flat();
  const start = [Buffer.from("GGUF"), u32(3), u64(0n), u64(1n), u64(1n), Buffer.from("k"), u32(9)];
  return Buffer.concat([...start, ...inner, Buffer.alloc(64)]);
}

describe("whatever bytes come", () => {
  /** Opens and reads everything; anything but success or a CheckpointError fails the test. */
  async function exercise(bytes: Uint8Array): Promise<void> {
    try {
      const file = await open(bytes);
      for (const name of file.names()) {
        expect(elementCount(file.info(name).shape)).toBeLessThanOrEqual(8 * bytes.length);
        await (file.info(name).dtype.startsWith("I") ? file.readIntegers(name) : file.read(name));
      }
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      expect(error.message.length).toBeLessThan(600);
    }
  }

  test("every truncation of a valid file is refused", async () => {
    const dataEnd = fromPython.length - 28; // the padding behind the last tensor may go
    for (let length = 0; length < dataEnd; length++) {
      await expect(open(fromPython.subarray(0, length)), String(length)).rejects.toBeInstanceOf(CheckpointError);
    }
  });

  test("changed bytes", async () => {
    const edit = fc.tuple(fc.nat(fromPython.length - 1), fc.integer({ min: 0, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), async (edits) => {
        const bytes = Uint8Array.from(fromPython);
        for (const [place, value] of edits) bytes[place] = value;
        await exercise(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test("changed numbers, pieces cut out and doubled", async () => {
    const number = fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 12n, 255n);
    const edit = fc.record({ place: fc.nat(fromPython.length - 9), number, cut: fc.nat(9), kind: fc.nat(2) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        let bytes = Buffer.from(fromPython);
        for (const { place, number: value, cut, kind } of edits) {
          const start = Math.min(place, bytes.length - 8);
          if (kind === 0) bytes.writeBigUInt64LE(value, start);
          else
            bytes = Buffer.concat([
              bytes.subarray(0, start + (kind - 1) * cut),
              bytes.subarray(start + cut * (2 - kind)),
            ]);
          if (bytes.length < 64) return;
        }
        await exercise(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

test("lists of lists that would take far more memory than their file are refused", async () => {
  const inner = Buffer.alloc(12); // an empty list of uint8
  const key = Buffer.from("lists");
  const start = Buffer.alloc(24);
  start.write("GGUF");
  start.writeUInt32LE(3, 4);
  start.writeBigUInt64LE(1n, 16); // one pair
  const head = Buffer.alloc(8 + key.length + 4 + 4 + 8);
  head.writeBigUInt64LE(BigInt(key.length));
  key.copy(head, 8);
  head.writeUInt32LE(9, 8 + key.length);
  head.writeUInt32LE(9, 12 + key.length);
  const withLists = (count: number): Buffer => {
    head.writeBigUInt64LE(BigInt(count), 16 + key.length);
    return Buffer.concat([start, head, ...Array.from({ length: count }, () => inner)]);
  };
  const open = (count: number) => openGguf(memorySource(withLists(count), "lists.gguf"));
  expect((await open(100)).metadata.get("lists")).toMatchObject({ type: "array", elementType: "array" });
  await expect(open(250_000)).rejects.toThrow(
    new CheckpointError(
      "lists.gguf: lists has more lists in lists than the 32768 that can be read; the file is damaged, fetch or write it again",
    ),
  );
});

test("a file that was opened before is read anew once it has changed", async () => {
  const path = join(folder, "changing.gguf");
  const asked = async (): Promise<GgufValue | undefined> => {
    const file = await openGguf(path);
    await file.close();
    return file.metadata.get("u");
  };
  for (const value of [7, 8, 9]) {
    // In place: the same length and the same inode.
    await writeFile(path, await bytesOf({ metadata: new Map([...metadata, ["u", { type: "uint32", value }]]) }));
    for (let i = 0; i < 2; i++) expect(await asked()).toEqual({ type: "uint32", value });
  }
});

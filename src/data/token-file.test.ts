import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import type { TokenDtype } from "./token-file.ts";
import { TokenFile } from "./token-file.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-tokens-"));
afterAll(() => rmSync(folder, { recursive: true }));

function tokenFile(ids: readonly number[], dtype: TokenDtype, tokens = ids.length): TokenFile {
  const size = dtype === "uint16" ? 2 : 4;
  const bytes = Buffer.alloc(ids.length * size);
  for (const [index, id] of ids.entries()) bytes.writeUIntLE(id, index * size, size);
  const path = join(folder, `${dtype}.bin`);
  writeFileSync(path, bytes);
  const text = { characters: 0, bytes: 0 };
  const info = { tokens, documents: 1, ...text, dtype, endOfText: null, vocabularySize: 2 ** 17, firstToken: text };
  return new TokenFile("book", path, info);
}

test("reads any stretch of either width, in any order and length", () => {
  const range = fc
    .tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  for (const [dtype, scale] of [
    ["uint16", 218],
    ["uint32", 7_000_001],
  ] as const) {
    const ids = Array.from({ length: 300 }, (_, i) => i * scale);
    const file = tokenFile(ids, dtype);
    fc.assert(
      fc.property(range, ([start, end]) => {
        const into = new Int32Array(end - start);
        file.read(start, into);
        expect([...into]).toEqual(ids.slice(start, end));
      }),
    );
    file.close();
  }
});

test("a file of the wrong size is refused", () => {
  expect(() => tokenFile([1, 2, 3], "uint16", 4)).toThrow(
    /uint16\.bin: has 6 bytes, 8 are expected; delete its folder/,
  );
});

test("a file that becomes shorter while in use is an error, not zeros", () => {
  const file = tokenFile([1, 2, 3, 4], "uint16");
  truncateSync(file.path, 4);
  expect(() => file.read(0, new Int32Array(4))).toThrow(DataError);
  file.close();
});

test("reading outside of the file or after closing it is a defect", () => {
  const file = tokenFile([1, 2, 3], "uint32");
  expect(() => file.read(2, new Int32Array(2))).toThrow(/internal: tokens 2 to 4 of 3/);
  expect(() => file.read(-1, new Int32Array(1))).toThrow(RangeError);
  file.close();
  file.close();
  expect(() => file.read(0, new Int32Array(1))).toThrow(/internal: .* is closed/);
});

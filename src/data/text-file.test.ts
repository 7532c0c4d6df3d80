import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import { readText } from "./text-file.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(contents: string | Uint8Array, name = "a.txt"): Promise<string> {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return (await Readable.from(readText(path)).toArray()).join("");
}

test("gives any text back, whatever character lies across the borders of reads", async () => {
  for (const shift of [0, 1, 2, 3]) {
    const text = "x".repeat(shift) + "😀".repeat(200_000);
    expect((await read(text)) === text).toBe(true);
  }
  const unit = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && !text.startsWith("\uFEFF"));
  await fc.assert(
    fc.asyncProperty(unit, async (text) => {
      expect(await read(text)).toBe(text);
      expect(await read(gzipSync(text), "a.txt.gz")).toBe(text);
    }),
    { numRuns: 50 },
  );
});

test("leaves out the byte order mark, and only that", async () => {
  expect(await read("\uFEFFa\uFEFFb")).toBe("a\uFEFFb");
});

/** A strict decoder of someone else's, as the judge of what is valid. */
function isValid(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

test("reports the offset of the first byte that does not belong, for any bytes", async () => {
  const interesting = fc.constantFrom(0x41, 0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xa0, 0xed, 0xf0, 0x90, 0xf4, 0xff);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ max: 255 }), fc.array(interesting, { minLength: 1 }), async (random, chosen) => {
      const bytes = Uint8Array.from([...random, ...chosen]).map((byte) => byte || 1);
      const problem = await read(bytes).then(
        () => null,
        (error: unknown) => error,
      );
      if (isValid(bytes)) {
        expect(problem).toBeNull();
        return;
      }
      expect(problem).toBeInstanceOf(DataError);
      const offset = Number(/at byte (\d+)/.exec(String(problem))?.[1]);
      expect(isValid(bytes.subarray(0, offset))).toBe(true);
      // No character starts there: neither 1, 2, 3 nor 4 bytes make one.
      for (const length of [1, 2, 3, 4]) {
        if (offset + length <= bytes.length) expect(isValid(bytes.subarray(offset, offset + length))).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

test("counts offsets over the whole file", async () => {
  const bytes = Buffer.concat([Buffer.from("é".repeat(300_000)), Buffer.of(0xff)]);
  await expect(read(bytes)).rejects.toThrow(/at byte 600000 byte 0xff is not valid there/);
});

test.each([
  [Buffer.from("plain\0text"), "a.txt", /a\.txt: is not UTF-8 text: at byte 5 there is a NUL byte; .*binary/],
  [Buffer.from("\uFEFFhello", "utf16le"), "a.txt", /at byte 0 .*UTF-16/],
  [Buffer.from("caf\u00e9 au lait", "latin1"), "a.txt", /at byte 3 byte 0xe9 is not valid there; convert it/],
  [Buffer.of(0x41, 0xe6, 0xbc), "a.txt", /at byte 1 the last character is cut off/],
  [Buffer.concat([gzipSync("").subarray(0, 10), Buffer.from("hello")]), "a.txt", /a\.txt: is not valid gzip data/],
  [gzipSync("hello hello").subarray(0, 20), "a.txt.gz", /ends in the middle of its gzip data/],
])("refuses %o as %s", async (contents, name, message) => {
  const reading = read(contents, name);
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(DataError);
});

test("what begins as gzip does is decompressed, whatever its name", async () => {
  expect(await read(gzipSync("hello"), "a.txt")).toBe("hello");
  expect(await read(Buffer.concat([gzipSync("one "), gzipSync("two")]), "parts.txt.gz")).toBe("one two");
  expect(await read(Buffer.from("hello"), "plain.txt.gz")).toBe("hello");
});

test("a missing file is named", async () => {
  const reading = Readable.from(readText(join(folder, "none.txt"))).toArray();
  await expect(reading).rejects.toThrow(/none\.txt: cannot read: it does not exist/);
});

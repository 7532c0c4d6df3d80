import fc from "fast-check";
import { expect, test } from "vitest";
import { memorySource } from "./byte-source.ts";
import { HeaderCursor, parseGrowing } from "./header-cursor.ts";

/** Texts as files have them: each behind its length. */
function written(texts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = (text: Uint8Array): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(text.length));
    return bytes;
  };
  return new Uint8Array(Buffer.concat(texts.flatMap((text) => [length(text), text])));
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("texts are read as they were written, all at once", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 6 }), { maxLength: 8 }), (texts) => {
      const bytes = written(texts.map(utf8));
      const cursor = new HeaderCursor("x.gguf", bytes, bytes.length);
      expect(cursor.strings(texts.length, "string")).toEqual(
        texts.map((text) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(text))),
      );
      expect(cursor.position).toBe(bytes.length);
    }),
    { numRuns: 40 },
  );
});

test("a character that two texts share is in neither", () => {
  const euro = utf8("€");
  const bytes = written([utf8("a"), euro.slice(0, 1), euro.slice(1)]);
  const read = (): unknown => new HeaderCursor("x.gguf", bytes, bytes.length).strings(3, "token");
  expect(read).toThrow("x.gguf: the token at byte 18 is not valid UTF-8; the file is damaged, fetch or write it again");
});

test("a list that goes on behind what was read is read with more of the file", async () => {
  const texts = Array.from({ length: 900 }, (_, i) => `token ${i} ü`.repeat(150));
  const found = await parseGrowing(memorySource(written(texts.map(utf8))), (cursor) =>
    cursor.strings(texts.length, "string"),
  );
  expect(found).toEqual(texts);
});

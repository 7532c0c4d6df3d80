import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dequantizeIQ4NL, dequantizeIQ4XS, dequantizeQ2K, dequantizeQ3K } from "./read-only-blocks.ts";

/** Two super-blocks of random bits, and what ggml's own package makes of them: `test/parity/record/ggml_blocks.py`. */
const path = new URL("../../test/parity/fixtures/ggml-blocks/blocks.json", import.meta.url);
const recorded = JSON.parse(readFileSync(path, "utf8")) as Record<string, { raw: string; values: string }>;

test.each([
  ["Q2_K", dequantizeQ2K],
  ["Q3_K", dequantizeQ3K],
  ["IQ4_NL", dequantizeIQ4NL],
  ["IQ4_XS", dequantizeIQ4XS],
])("%s holds what ggml says, bit by bit", (name, decode) => {
  const { raw = "", values = "" } = recorded[name] ?? {};
  const out = new Float32Array(512);
  decode(new Uint8Array(Buffer.from(raw, "base64")), out);
  expect(Buffer.from(out.buffer).toString("base64")).toBe(values);
});

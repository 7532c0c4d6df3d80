import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openBackend } from "../../src/backend/index.ts";
import { openGguf } from "../../src/checkpoint/gguf.ts";
import { findLlamaCpp } from "../../src/eval/llama-cpp.ts";
import { proveGguf } from "../../src/eval/llama-cpp-proof.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";

/** Models as others trained them come in and leave again. `npm run peers:weights` fetches them. */
const peers = join(import.meta.dirname, "../../.stemma/peers");
const weights = join(peers, "weights");
const hasLlamaCpp = existsSync(join(peers, "node_modules/node-llama-cpp"));
const root = mkdtempSync(join(tmpdir(), "stemma-real-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What llama.cpp cuts text and ends turns by, and the template, are kept to the letter. */
const kept = [
  "general.architecture",
  "tokenizer.ggml.model",
  "tokenizer.ggml.tokens",
  "tokenizer.ggml.merges",
  "tokenizer.ggml.bos_token_id",
  "tokenizer.ggml.eos_token_id",
  "tokenizer.ggml.unknown_token_id",
  "tokenizer.ggml.padding_token_id",
  "tokenizer.ggml.add_bos_token",
  "tokenizer.chat_template",
];

const models = [
  // Its published file is of another mixture (q4_1), so that only what it says is compared.
  { name: "smollm2-135m-instruct.gguf", mixture: "Q8_0", pre: "smollm", formats: null },
  {
    name: "gemma-3-270m.gguf",
    mixture: "Q4_K_M",
    pre: null,
    formats: { Q5_0: 81, Q4_K: 27, Q6_K: 9, Q8_0: 10, F32: 109 },
  },
] as const;

describe.each(models)("$name", ({ name, mixture, pre, formats }) => {
  const original = join(weights, name);
  const isThere = existsSync(original);
  const [folder, back] = [join(root, name.replace(".gguf", "")), join(root, name)];

  test.skipIf(!isThere)("comes in and leaves again as what it was", { timeout: 900_000 }, async () => {
    await importGguf(original, folder, { dtype: "BF16" });
    await exportGguf(folder, back, mixture);
    const [before, after] = await Promise.all([openGguf(original), openGguf(back)]);
    for (const key of kept) expect(after.metadata.get(key), key).toEqual(before.metadata.get(key));
    if (pre !== null) expect(after.metadata.get("tokenizer.ggml.pre")).toEqual({ type: "string", value: pre });
    expect(new Set(after.names())).toEqual(new Set(before.names()));
    if (formats) {
      const counts: Record<string, number> = {};
      for (const tensor of after.names()) {
        const { dtype } = after.info(tensor);
        expect(dtype, tensor).toBe(before.info(tensor).dtype);
        counts[dtype] = (counts[dtype] ?? 0) + 1;
      }
      expect(counts).toEqual(formats);
    }
    await Promise.all([before.close(), after.close()]);
  });

  test.skipIf(!isThere || !hasLlamaCpp)("llama.cpp reads it as Stemma does", { timeout: 900_000 }, async () => {
    const proof = await proveGguf(back, await openBackend(), findLlamaCpp());
    expect(proof).toMatchObject({ firstOtherToken: null, agrees: true });
  });
});

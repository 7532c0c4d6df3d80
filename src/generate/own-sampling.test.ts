import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { AskedWriting } from "./own-sampling.ts";
import { writingOf } from "./own-sampling.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-sampling-"));
afterAll(() => rmSync(root, { recursive: true }));
const plain = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

async function of(config: object | null, given: AskedWriting = {}): ReturnType<typeof writingOf> {
  const folder = mkdtempSync(join(root, "model-"));
  mkdirSync(folder, { recursive: true });
  if (config !== null) writeFileSync(join(folder, "generation_config.json"), JSON.stringify(config));
  return writingOf(folder, given);
}

test.each([null, {}, { bos_token_id: 1, eos_token_id: [2] }, { temperature: null, do_sample: null }])(
  "a folder that recommends nothing (%j) leaves sampling as it is",
  async (config) => {
    expect(await of(config)).toEqual({ sampling: plain, maxNewTokens: null, note: null });
  },
);

test("what the makers recommend is taken, and said", async () => {
  const llama = { do_sample: true, temperature: 0.6, top_p: 0.9, max_new_tokens: 200 };
  expect(await of(llama)).toEqual({
    sampling: { ...plain, temperature: 0.6, topK: 50, topP: 0.9 },
    maxNewTokens: 200,
    note: "temperature 0.6, top-k 50, top-p 0.9, max-new-tokens 200: as the model's generation_config.json says, flags say otherwise",
  });
  const qwen = { do_sample: true, temperature: 0.7, top_k: 20, top_p: 0.8, repetition_penalty: 1.05 };
  const { sampling } = await of(qwen);
  expect(sampling).toEqual({ temperature: 0.7, topK: 20, topP: 0.8, minP: 0, repetitionPenalty: 1.05 });
});

test("flags win, each by itself", async () => {
  const { sampling, maxNewTokens, note } = await of(
    { do_sample: true, temperature: 0.6, top_k: 20, max_new_tokens: 9 },
    { temperature: 1, topK: 0, maxNewTokens: 5 },
  );
  expect({ sampling, maxNewTokens, note }).toEqual({ sampling: plain, maxNewTokens: 5, note: null });
});

test("do_sample: false takes the likeliest, but for whoever asks to sample", async () => {
  const config = { do_sample: false, temperature: 0.6, repetition_penalty: 1.2 };
  expect((await of(config)).sampling).toEqual({ ...plain, temperature: 0, repetitionPenalty: 1.2 });
  const asked = await of(config, { topP: 0.5 });
  expect(asked.sampling).toEqual({ ...plain, temperature: 0.6, topP: 0.5, repetitionPenalty: 1.2 });
});

test("a recommendation that cannot be is named", async () => {
  await expect(of({ top_p: 7 })).rejects.toThrow(/generation_config\.json: top_p must be .*, got 7; correct the file/);
});

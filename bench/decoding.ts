/**
 * Our side of the decoding benchmark: lines such as `{"model": "llama.gguf", "threads": 1, "promptTokens": 256,
 * "decodeTokens": 64}` are answered as `peers/llama.ts` does, at batch 1 and with weights as the file has them.
 */
import { openBackend } from "../src/backend/index.ts";
import { Decoder } from "../src/generate/decoder.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { loadModel } from "../src/models/load.ts";
import { answerLines } from "./peers/answer-lines.ts";
import { costOf, peakBytes } from "./peers/cost.ts";

interface Command {
  readonly model: string;
  readonly threads: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
}

let loaded: { model: LanguageModel; startSeconds: number } | null = null;

await answerLines<Command>(async ({ model: path, threads, promptTokens, decodeTokens }) => {
  loaded ??= await load(path, threads);
  const { model, startSeconds } = loaded;
  const ids = Array.from({ length: promptTokens }, (_, i) => (i * 97) % 1000);
  const decoder = new Decoder(model, 1, promptTokens + decodeTokens + 1);
  await decoder.feed([{ slot: 0, tokens: ids.slice(0, 16) }]);
  decoder.truncate(0, 0);
  const prompt = await costOf(async () => {
    await decoder.feed([{ slot: 0, tokens: ids }]);
  });
  const decode = await costOf(async () => {
    for (let i = 0; i < decodeTokens; i++) await decoder.feed([{ slot: 0, tokens: [(i * 97) % 1000] }]);
  });
  decoder.release();
  return { prompt, decode, startSeconds, peakBytes: peakBytes() };
});

async function load(path: string, threads: number): Promise<{ model: LanguageModel; startSeconds: number }> {
  const start = performance.now();
  const backend = await openBackend({ name: "native", threads, matmulPrecision: "float32" });
  const { model } = await loadModel(path, backend, "stored");
  return { model, startSeconds: (performance.now() - start) / 1000 };
}

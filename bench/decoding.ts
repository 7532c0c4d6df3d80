/**
 * Our side of the decoding benchmark: lines such as `{"shape": {…}, "threads": 1, "promptTokens": 256, "decodeTokens":
 * 64}` are answered with `{"promptTokensPerSecond": …, "decodeTokensPerSecond": …, "threads": 1}`, at batch 1.
 */
import { openBackend } from "../src/backend/index.ts";
import { Random } from "../src/core/random.ts";
import { Decoder } from "../src/generate/decoder.ts";
import { gpt2 } from "../src/models/gpt-families.ts";
import { Initializer } from "../src/nn/parameters.ts";
import { answerLines } from "./peers/answer-lines.ts";
import type { TrainingShape } from "./shapes.ts";

interface Command {
  readonly shape: TrainingShape;
  readonly threads: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
}

let loaded: { threads: number; model: ReturnType<typeof gpt2.create> } | null = null;

await answerLines<Command>(async ({ shape, threads, promptTokens, decodeTokens }) => {
  if (loaded?.threads !== threads) loaded = { threads, model: await newModel(shape, threads) };
  const { model } = loaded;
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 97) % shape.vocabulary);
  const decoder = new Decoder(model, 1, promptTokens + decodeTokens + 16);
  decoder.open();
  await decoder.feed([prompt.slice(0, 16)]);
  decoder.reset(0);
  const promptSeconds = await secondsOf(async () => {
    await decoder.feed([prompt]);
  });
  const decodeSeconds = await secondsOf(async () => {
    for (let i = 0; i < decodeTokens; i++) await decoder.feed([[(i * 97) % shape.vocabulary]]);
  });
  decoder.release();
  return {
    promptTokensPerSecond: promptTokens / promptSeconds,
    decodeTokensPerSecond: decodeTokens / decodeSeconds,
    threads,
  };
});

async function newModel(shape: TrainingShape, threads: number): Promise<ReturnType<typeof gpt2.create>> {
  const { vocabulary, batch: _, ...sizes } = shape;
  const backend = await openBackend({ name: "native", threads, matmulPrecision: "float32" });
  const settings = gpt2.shaped({ ...sizes, vocabularySize: vocabulary, context: 1024, dropout: 0 });
  return gpt2.create(settings, new Initializer(backend, new Random(1)));
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

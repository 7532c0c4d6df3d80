/**
 * Our side of the batching benchmark: lines such as `{"model": "llama.gguf", "threads": 2, "sequences": 8, "promptTokens":
 * 16, "decodeTokens": 64, "sampling": {"temperature": 1, "topK": 40, "topP": 0.95}}` are answered as
 * `peers/llama-batching.ts` does.
 */
import { openBackend } from "../src/backend/index.ts";
import { Engine } from "../src/generate/engine.ts";
import { SamplingSettings } from "../src/generate/sampling.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { loadModel } from "../src/models/load.ts";
import type { BatchingCommand } from "./batching-benchmark.ts";
import { answerLines } from "./peers/answer-lines.ts";
import { costOf } from "./peers/cost.ts";

let loaded: LanguageModel | null = null;

await answerLines<BatchingCommand>(async (command) => {
  const { model: path, threads, sequences, promptTokens, decodeTokens } = command;
  loaded ??= await load(path, threads);
  const engine = new Engine(loaded, { slots: sequences, capacity: promptTokens + decodeTokens + 1 });
  for (let id = 0; id < sequences; id++) {
    engine.add({
      ...{ id, prompt: Array.from({ length: promptTokens }, (_, i) => (id * 31 + i * 97) % 1000), copies: 1, seed: id },
      ...{ sampling: SamplingSettings.parse(command.sampling), maxNewTokens: decodeTokens + 1, endTokens: [] },
      ...{ logprobs: null, promptLogprobs: false, owner: "", grammar: null },
    });
  }
  await engine.step(); // reads the prompts, and gives each its first token
  const cost = await costOf(async () => {
    while (!engine.isIdle) await engine.step();
  });
  engine.release();
  return cost;
});

async function load(path: string, threads: number): Promise<LanguageModel> {
  const backend = await openBackend({ name: "native", threads, matmulPrecision: "float32" });
  return (await loadModel(path, backend, "stored")).model;
}

/**
 * llama.cpp beside our engine, through node-llama-cpp: sequences of one context, decoded side by side on the processor.
 * Reads lines such as `{"model": "llama.gguf", "threads": 2, "sequences": 8, "promptTokens": 16, "decodeTokens": 64,
 * "sampling": {"temperature": 1, "topK": 40, "topP": 0.95}}` and answers each with `{"seconds": …, "cpuSeconds": …}` of
 * the decoding.
 */
import type { BatchingCommand } from "../batching-benchmark.ts";
import { answerLines } from "./answer-lines.ts";
import { costOf } from "./cost.ts";
import { loadPeer } from "./find-peer.ts";

/** The part of node-llama-cpp that the peer uses. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number; logLevel: "error" }): Promise<Llama>;
}

interface Llama {
  loadModel(options: { modelPath: string }): Promise<Model>;
}

interface Model {
  createContext(options: {
    contextSize: number;
    batchSize: number;
    sequences: number;
    threads: number;
  }): Promise<Context>;
}

interface Context {
  getSequence(): Sequence;
  dispose(): Promise<void>;
}

interface Sequence {
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
}

let loaded: Model | null = null;

await answerLines<BatchingCommand>(async (command) => {
  const { model: path, threads, sequences, promptTokens, decodeTokens, sampling } = command;
  loaded ??= await load(path);
  const [contextSize, batchSize] = [promptTokens + decodeTokens + 2, Math.max(64, sequences * promptTokens)];
  const context = await loaded.createContext({ contextSize, batchSize, sequences, threads });
  const all = Array.from({ length: sequences }, () => context.getSequence());
  await Promise.all(
    all.map((sequence, id) =>
      sequence.evaluateWithoutGeneratingNewTokens(
        Array.from({ length: promptTokens }, (_, i) => (id * 31 + i * 97) % 1000),
      ),
    ),
  );
  const options = (id: number): object => ({ ...sampling, seed: id + 1, minP: 0, yieldEogToken: true });
  const cost = await costOf(async () => {
    await Promise.all(all.map((sequence, id) => decode(sequence.evaluate([id + 1], options(id)), decodeTokens)));
  });
  await context.dispose();
  return cost;
});
process.exit(0); // llama.cpp's threads would keep the process

async function load(modelPath: string): Promise<Model> {
  const { getLlama } = await loadPeer<NodeLlamaCpp>("node-llama-cpp", "3.22.1");
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: 0, logLevel: "error" });
  return llama.loadModel({ modelPath });
}

async function decode(tokens: AsyncGenerator<number>, count: number): Promise<void> {
  let generated = 0;
  for await (const _ of tokens) {
    generated += 1;
    if (generated === count) return;
  }
  throw new Error(`llama: a sequence ended after ${generated} of ${count} tokens`);
}

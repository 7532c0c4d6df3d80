/**
 * llama.cpp beside Stemma, through node-llama-cpp: processing a prompt and decoding at batch 1 on the processor. Reads
 * lines such as `{"model": "llama.gguf", "threads": 1, "promptTokens": 256, "decodeTokens": 64}` and answers each with
 * `{"prompt": {"seconds": …, "cpuSeconds": …}, "decode": {…}, "startSeconds": …, "peakBytes": …, "version": "…"}`.
 * `startSeconds` is what opening the model took, which stays open for the commands that follow; `writeRandomGguf` makes
 * one. A short untimed prompt is processed first, so that the weights are in memory.
 */
import { answerLines } from "./answer-lines.ts";
import { costOf, peakBytes } from "./cost.ts";
import { loadPeer } from "./find-peer.ts";

interface Command {
  readonly model: string;
  readonly threads: number;
  readonly promptTokens?: number;
  readonly decodeTokens?: number;
}

/** The part of node-llama-cpp that the peer uses. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number; logLevel: "error" }): Promise<Llama>;
}

interface Llama {
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: { modelPath: string }): Promise<Model>;
}

interface Model {
  readonly trainContextSize: number;
  createContext(options: { contextSize: number; batchSize: number; threads: number }): Promise<Context>;
}

interface Context {
  getSequence(): Sequence;
  dispose(): Promise<void>;
}

interface Sequence {
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: number }): AsyncGenerator<number>;
}

let loaded: { model: Model; version: string; startSeconds: number } | null = null;

await answerLines<Command>(async ({ model: path, threads, promptTokens = 256, decodeTokens = 64 }) => {
  loaded ??= await load(path);
  const { model, version, startSeconds } = loaded;
  const contextSize = Math.min(model.trainContextSize, promptTokens + decodeTokens + 1);
  const context = await model.createContext({ contextSize, batchSize: promptTokens, threads });
  const sequence = context.getSequence();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens(16));
  await sequence.clearHistory();

  const prompt = await costOf(() => sequence.evaluateWithoutGeneratingNewTokens(tokens(promptTokens)));
  const decoded = await costOf(() => decode(sequence, decodeTokens));
  await context.dispose();
  return { prompt, decode: decoded, startSeconds, peakBytes: peakBytes(), version };
});
process.exit(0); // llama.cpp's threads would keep the process

async function load(modelPath: string): Promise<NonNullable<typeof loaded>> {
  const { getLlama } = await loadPeer<NodeLlamaCpp>("node-llama-cpp", "3.22.1");
  const start = performance.now();
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: 0, logLevel: "error" });
  const model = await llama.loadModel({ modelPath });
  return { model, version: llama.llamaCppRelease.release, startSeconds: (performance.now() - start) / 1000 };
}

/** Greedy decoding; each token is one pass through the model. */
async function decode(sequence: Sequence, count: number): Promise<void> {
  let generated = 0;
  for await (const _ of sequence.evaluate(tokens(1), { temperature: 0 })) {
    generated += 1;
    if (generated === count) return;
  }
  throw new Error(`llama: the model ended after ${generated} of ${count} tokens`);
}

/** Made-up ids: any will do, for speed does not depend on them. */
function tokens(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 97) % 1000);
}

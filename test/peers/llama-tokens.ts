/**
 * What llama.cpp, through node-llama-cpp, makes of a GGUF file: the ids of a text, the probabilities of what may follow
 * it, and the most probable continuation; with an adapter where one is named. Reads lines such as `{"model": "x.gguf", "text": "In the", "count": 20}` and
 * answers each with `{"ids": […], "probabilities": […], "continuation": […], "text": "…"}`; probabilities are by id. Of a
 * file that makes embeddings, `{"model": "x.gguf", "text": "In the", "embeds": true}`: `{"ids": […], "embedding": […]}`.
 */
import { answerLines } from "../../bench/peers/answer-lines.ts";
import { loadPeer } from "../../bench/peers/find-peer.ts";

interface Command {
  readonly model: string;
  /** An adapter's file that is added to it. */
  readonly adapter?: string;
  readonly text: string;
  readonly count?: number;
  readonly embeds?: boolean;
}

/** The part of node-llama-cpp that the peer uses. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number; logLevel: "error" }): Promise<Llama>;
}

interface Llama {
  loadModel(options: { modelPath: string }): Promise<Model>;
}

interface Model {
  readonly trainContextSize: number;
  tokenize(text: string, specialTokens: boolean): number[];
  detokenize(tokens: readonly number[]): string;
  createContext(options: object): Promise<Context>;
  createEmbeddingContext(options: object): Promise<EmbeddingContext>;
  dispose(): Promise<void>;
}

interface EmbeddingContext {
  getEmbeddingFor(text: string): Promise<{ readonly vector: readonly number[] }>;
  dispose(): Promise<void>;
}

interface Context {
  getSequence(): Sequence;
  dispose(): Promise<void>;
}

interface Sequence {
  evaluateWithMetadata(
    tokens: readonly number[],
    metadata: { probabilities: true },
    options: object,
  ): AsyncGenerator<{ readonly token: number; readonly probabilities: ReadonlyMap<number, number> }>;
}

/** Nothing filtered, so that every token has its probability; keys and values as exact as the rest. */
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, yieldEogToken: true };
const exactCache = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };

let llama: Llama | null = null;

await answerLines<Command>(async ({ model: modelPath, adapter, text, count = 0, embeds = false }) => {
  const { getLlama } = await loadPeer<NodeLlamaCpp>("node-llama-cpp", "3.22.1");
  llama ??= await getLlama({ gpu: false, build: "never", maxThreads: 0, logLevel: "error" });
  const model = await llama.loadModel({ modelPath });
  const ids = model.tokenize(text, true);
  if (embeds) {
    const own = await model.createEmbeddingContext({ threads: 1 });
    const { vector } = await own.getEmbeddingFor(text);
    await own.dispose();
    await model.dispose();
    return { ids, embedding: [...vector] };
  }
  const contextSize = Math.min(model.trainContextSize, ids.length + count + 1);
  const lora = adapter === undefined ? {} : { lora: { adapters: [{ filePath: adapter }] } };
  const context = await model.createContext({ contextSize, threads: 1, flashAttention: false, ...exactCache, ...lora });
  const continuation: number[] = [];
  let probabilities: number[] = [];
  const tokens = context.getSequence().evaluateWithMetadata(ids, { probabilities: true }, greedy);
  for await (const { token, probabilities: found } of tokens) {
    if (continuation.length === 0) probabilities = Array.from({ length: found.size }, (_, id) => found.get(id) ?? 0);
    continuation.push(token);
    if (continuation.length === count) break;
  }
  await context.dispose();
  const answer = { ids, probabilities, continuation, text: model.detokenize(continuation) };
  await model.dispose();
  return answer;
});
process.exit(0); // llama.cpp's threads would keep the process

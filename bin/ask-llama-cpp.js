/**
 * What llama.cpp, through node-llama-cpp, makes of a text: its ids, the probability of each token after it, and the most
 * probable continuation. A program of its own, so that `stemma export --prove` can end it.
 *
 *     node ask-llama-cpp.js <URL of node-llama-cpp> '{"model": "x.gguf", "text": "In the", "count": 20}'
 *
 * One thread: with two, llama.cpp was seen to wait for ever. Keys and values are as exact as the rest, and nothing is
 * filtered, so that every token has its probability.
 */
import process from "node:process";

const [module = "", question = ""] = process.argv.slice(2);
const { model: modelPath, text, count } = JSON.parse(question);
const { getLlama } = await import(module);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const ids = model.tokenize(text, true);
const contextSize = Math.min(model.trainContextSize, ids.length + count + 1);
const exactCache = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };
const context = await model.createContext({ contextSize, threads: 1, flashAttention: false, ...exactCache });
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, yieldEogToken: true };
const tokens = context.getSequence().evaluateWithMetadata(ids, { probabilities: true }, greedy);
const continuation = [];
let probabilities = [];
for await (const { token, probabilities: found } of tokens) {
  if (continuation.length === 0) probabilities = Array.from({ length: found.size }, (_, id) => found.get(id) ?? 0);
  continuation.push(token);
  if (continuation.length === count) break;
}
// llama.cpp's threads would keep the process.
process.stdout.write(JSON.stringify({ ids, probabilities, continuation }), () => process.exit(0));

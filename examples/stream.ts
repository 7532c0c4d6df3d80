/**
 * Streams continuations of several prompts from a model folder, decoded side by side.
 * Run: npx tsx examples/stream.ts runs/quickstart/base/final
 */
import { begun, generateText, loadModel, loadTokenizer, openBackend } from "../src/index.ts";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("name a model folder, such as runs/quickstart/base/final");

const backend = await openBackend();
const { model } = await loadModel(folder, backend);
const tokenizer = await loadTokenizer(folder);

const prompts = ["In the beginning", "And he said", "The"];
const texts = [...prompts];
const pieces = generateText(
  model,
  tokenizer,
  prompts.map((prompt) => begun(tokenizer, tokenizer.encode(prompt))),
  { sampling: { temperature: 0.8, topP: 0.95 }, maxNewTokens: 30, stop: ["\n"], seed: 7 },
);
for await (const { index, text, finish } of pieces) {
  texts[index] += text;
  if (finish) console.log(`${finish}: ${texts[index]}`);
}

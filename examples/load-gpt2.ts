/**
 * Opens a GPT-2 folder in the Hugging Face layout, whoever made it, scores a text and prints the likeliest next tokens.
 * Run: npx tsx examples/load-gpt2.ts path/to/gpt2
 */
import { loadModel, loadTokenizer, openBackend, score, Tensor, tensorScope, withoutGradients } from "../src/index.ts";

const [folder, text = "In the beginning God created the heaven and the"] = process.argv.slice(2);
if (!folder) throw new Error("name a folder with config.json, model.safetensors and tokenizer.json");

const backend = await openBackend();
const { model, family } = await loadModel(folder, backend);
const tokenizer = await loadTokenizer(folder);
console.log(`${family.summary}; context ${model.settings.context}, vocabulary ${model.settings.vocabularySize}`);

const ids = tokenizer.encode(text);
const { loss, perplexity } = await score(model, ids);
console.log(`loss ${loss.toFixed(3)} nats a token, perplexity ${perplexity.toFixed(1)}`);

// Everything made inside a scope is given back, except what it returns.
const next = withoutGradients(() =>
  tensorScope(() => {
    const hidden = model.forward(Tensor.from(backend, ids, [1, ids.length])); // [1, time, width]
    return model.logits(hidden.slice(1, ids.length - 1, ids.length)).softmax(); // [1, 1, vocabularySize]
  }),
);
const probabilities = await next.floats();
const likeliest = [...probabilities.keys()].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
for (const id of likeliest.slice(0, 5)) {
  console.log(
    `${(100 * (probabilities[id] ?? 0)).toFixed(1).padStart(5)} %  ${JSON.stringify(tokenizer.decode([id]))}`,
  );
}

/** Trains a small GPT on a string with the parts of the library, step by step. Run: npx tsx examples/train-from-string.ts */
import {
  AdamW,
  CharacterTrainer,
  families,
  generateText,
  Initializer,
  memoryTokens,
  nextTokenLoss,
  openBackend,
  optimizerStep,
  parameters,
  Random,
  trainingWindows,
} from "../src/index.ts";

const text = "the quick brown fox jumps over the lazy dog. ".repeat(40);

const trainer = new CharacterTrainer();
trainer.add(text);
const tokenizer = trainer.train();

const backend = await openBackend();
const { gpt2 } = families;
const context = 32;
const sizes = { vocabularySize: tokenizer.vocabularySize, context, width: 48, layers: 2, heads: 4, dropout: 0 };
const model = gpt2.create(gpt2.shaped(sizes), new Initializer(backend, new Random(1)));

const file = memoryTokens(tokenizer.encode(text));
const windows = trainingWindows({ sources: [{ file, weight: 1 }], context, seed: 1 });
const update = {
  model,
  objective: nextTokenLoss,
  optimizer: new AdamW(parameters(model), { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }),
  batches: (step: number) =>
    windows.batchAt(step, { batchSize: 8 }).map((batch) => ({ batch, share: 1, tokens: batch.batch * batch.time })),
  schedule: () => 3e-3,
  maxGradientNorm: 1,
  seed: 1,
};
for (let step = 0; step < 120; step++) {
  const { loss = Number.NaN } = await optimizerStep(update, step);
  if (step % 40 === 39) console.log(`step ${step + 1}: loss ${loss.toFixed(3)}`);
}

const sampling = { temperature: 0 };
let written = "the quick";
const prompt = tokenizer.encode(written);
for await (const piece of generateText(model, tokenizer, [prompt], { sampling, maxNewTokens: 40, seed: 1 })) {
  written += piece.text;
}
console.log(written);

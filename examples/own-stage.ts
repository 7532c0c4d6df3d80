/**
 * A stage of one's own: another loss, and a rate of their own for some parameters, in a run like any: logged, saved,
 * resumable. Run: npx tsx examples/own-stage.ts path/to/model path/to/text.txt runs/focal
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { LanguageModel, TokenBatch } from "../src/index.ts";
import * as stemma from "../src/index.ts";

/** −mean (1 − p)^γ log p: tokens that the model is sure of count less. Lin et al. (2017), equation 4, arXiv:1708.02002. */
function focalLoss(model: LanguageModel, batch: TokenBatch, gamma: number) {
  const logProbs = stemma.targetLogProbs(model, batch);
  const doubt = logProbs.exp().neg().add(1).maximum(1e-6);
  return doubt.log().mul(gamma).exp().mul(logProbs).sum(0).div(-batch.targets.length);
}

const { runSettings, trainingSettings } = stemma;
const focal = stemma.defineStage({
  name: "focal",
  summary: "train a model on a text, hard tokens first",
  settings: z.object({ ...runSettings, ...trainingSettings, model: z.string(), text: z.string(), gamma: z.number() }),
  async prepare(settings, environment) {
    const { checkpoint } = environment.folder;
    const backend = await stemma.openMachine(settings, environment);
    const assistant = await stemma.openAssistant(checkpoint?.path ?? settings.model, backend);
    const { model, encoder } = assistant;
    const file = stemma.memoryTokens(encoder.tokenizer.encode(readFileSync(settings.text, "utf8")));
    const source = { sources: [{ file, weight: 1 }], context: 32, seed: settings.seed };
    const windows = stemma.trainingWindows(source);
    const batchesAt = (step: number) => windows.batchAt(step, { batchSize: settings.batchSize });
    const slowEmbedding = (name: string) => (name.endsWith("Embedding") ? { rate: 0.1, weightDecay: 0 } : {});
    const constants = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: settings.weightDecay };
    const stage = {
      ...{ model, parameters: stemma.parameters(model), contents: () => stemma.assistantContents(assistant) },
      optimizer: new stemma.AdamW(stemma.parameters(model), constants, slowEmbedding),
      objective: (own: LanguageModel, batch: TokenBatch) => focalLoss(own, batch, settings.gamma),
      batches: (step: number) => batchesAt(step).map((batch) => ({ batch, share: 1, tokens: batch.inputs.length })),
      evaluate: () => stemma.meanLoss(batchesAt(0), (batch) => focalLoss(model, batch, 0)),
      sample: async () => undefined,
    };
    return stemma.trainStage(stage, settings, environment);
  },
});

const [model = "", text = "", output = ""] = process.argv.slice(2);
const { metrics } = await stemma.runStage(
  focal,
  { model, text, output, gamma: 2, steps: 10, learningRate: 1e-3 },
  { logged: (step, { loss }) => loss && console.log(`step ${step}: focal loss ${loss.toFixed(3)}`) },
);
console.log(`next-token loss ${metrics.eval_loss?.toFixed(3)}, model in ${output}`);

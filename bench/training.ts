/**
 * Our side of the training benchmark, a process like the peers': lines such as `{"shape": {…}, "precision": "float32",
 * "steps": 3}` are answered with `{"secondsPerStep": […], "losses": […], "peakBytes": …, "parameters": …}`.
 * The model is kept from line to line, after two untimed steps; one process is one shape.
 */
import { openBackend } from "../src/backend/index.ts";
import type { MatmulPrecision } from "../src/backend/kernels.ts";
import { parameterCount, parameters } from "../src/nn/parameters.ts";
import { AdamW } from "../src/optim/adamw.ts";
import { optimizerStep } from "../src/train/optimizer-step.ts";
import { answerLines } from "./peers/answer-lines.ts";
import type { TrainingShape } from "./shapes.ts";
import { stepTokens } from "./shapes.ts";
import { trainedModel } from "./training-models.ts";

interface Command {
  readonly shape: TrainingShape;
  readonly precision: MatmulPrecision;
  readonly steps: number;
  readonly threads?: number;
}

interface Training {
  readonly parameters: number;
  step(): Promise<number>;
}

let training: Training | null = null;

await answerLines<Command>(async ({ shape, precision, steps, threads }) => {
  if (!training) {
    training = await start(shape, precision, threads);
    for (let i = 0; i < 2; i++) await training.step();
  }
  const secondsPerStep: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    losses.push(await training.step());
    secondsPerStep.push((performance.now() - start) / 1000);
  }
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { secondsPerStep, losses, peakBytes, parameters: training.parameters };
});

async function start(shape: TrainingShape, matmulPrecision: MatmulPrecision, threads?: number): Promise<Training> {
  const backend = await openBackend({ name: "native", matmulPrecision, threads });
  const { model, loss } = trainedModel(shape, backend);
  const constants = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
  const optimizer = new AdamW(parameters(model), constants);
  const update = {
    ...{ model, optimizer, objective: loss, maxGradientNorm: 1, seed: 1, schedule: () => 1e-4 },
    batches: () => [{ batch: null, share: 1, tokens: stepTokens(shape) }],
  };
  let step = 0;
  return {
    parameters: parameterCount(model),
    step: async () => (await optimizerStep(update, step++)).loss ?? Number.NaN,
  };
}

/**
 * Our side of the adapters' benchmark: lines such as `{"shape": {…}, "precision": "float32", "steps": 3}` are answered with
 * `{"secondsPerStep": […], "peakBytes": …, "tensorBytes": …}`. The model is kept from line to line, after two untimed
 * steps; one process is one shape.
 */
import type { MatmulPrecision } from "../src/backend/kernels.ts";
import { openNative } from "../src/backend/native/index.ts";
import { Random } from "../src/core/random.ts";
import { llama } from "../src/models/decoders/llama.ts";
import { adapt } from "../src/models/low-rank-adapters.ts";
import { uniformFormats } from "../src/models/weight-choice.ts";
import { Initializer, trainedParameters } from "../src/nn/parameters.ts";
import { AdamW } from "../src/optim/adamw.ts";
import { nextTokenLoss } from "../src/train/objectives/next-token.ts";
import { optimizerStep } from "../src/train/optimizer-step.ts";
import type { AdaptedShape } from "./adapters-benchmark.ts";
import { answerLines } from "./peers/answer-lines.ts";

interface Command {
  readonly shape: AdaptedShape;
  readonly precision: MatmulPrecision;
  readonly steps: number;
  readonly threads: number;
}

interface Training {
  step(): Promise<void>;
  /** Most bytes that tensors took at one time since the untimed steps. */
  peak(): number;
}

let training: Training | null = null;

await answerLines<Command>(async ({ shape, precision, steps, threads }) => {
  if (!training) {
    training = start(shape, precision, threads);
    for (let i = 0; i < 2; i++) await training.step();
  }
  const secondsPerStep: number[] = [];
  for (let i = 0; i < steps; i++) {
    const begun = performance.now();
    await training.step();
    secondsPerStep.push((performance.now() - begun) / 1000);
  }
  return { secondsPerStep, peakBytes: process.resourceUsage().maxRSS * 1024, tensorBytes: training.peak() };
});

function start(shape: AdaptedShape, matmulPrecision: MatmulPrecision, threads: number): Training {
  const { backend, ...failed } = openNative({ matmulPrecision, threads });
  if (!backend) throw new Error("reason" in failed ? failed.reason : "the native backend is not there");
  const { hidden, keyValueHeads, weights, loraRank: rank, loraAlpha: alpha, recompute, vocabulary, batch } = shape;
  const settings = { ...llama.shaped({ ...shape, vocabularySize: vocabulary, dropout: 0 }), hidden, keyValueHeads };
  const formats = uniformFormats(llama, settings, weights);
  const model = llama.create(settings, new Initializer(backend, new Random(1), Number.POSITIVE_INFINITY, formats));
  adapt(model, { rank, alpha, targets: "all" }, new Random(2));
  const reader = new Random(3).reader();
  const ids = (): Int32Array => Int32Array.from({ length: batch * shape.context }, () => reader.integer(vocabulary));
  const tokens = { inputs: ids(), targets: ids(), batch, time: shape.context };
  const constants = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
  const update = {
    ...{ model, optimizer: new AdamW(trainedParameters(model), constants), maxGradientNorm: 1, seed: 1 },
    objective: () => nextTokenLoss(model, tokens, null, { recompute }),
    schedule: () => 1e-4,
    batches: () => [{ batch: null, share: 1, tokens: tokens.inputs.length }],
  };
  let step = 0;
  return {
    async step() {
      await optimizerStep(update, step++);
      if (step === 1) backend.machine.resetPeak();
    },
    peak: () => backend.machine.memory().peak,
  };
}

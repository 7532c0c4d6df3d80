/**
 * jax-js beside Stemma: one training step of GPT-2 (forward, gradient, clipping, AdamW) in WebAssembly. Reads lines such
 * as `{"shape": {"layers": 4, "heads": 4, "width": 128, "context": 64, "batch": 12, "vocabulary": 256}, "steps": 3}`
 * and answers `{"secondsPerStep": […], "losses": […], "peakBytes": …, "parameters": …, "threads": 2}`. The model is kept
 * from line to line and made anew, after two untimed steps, when the shape changes; `"threads"` counts from the first line.
 *
 * It has the best of what we tried: the whole step is one jit-compiled function, and worker threads stand in for
 * the web workers that the library uses in browsers. TensorFlow.js with its WASM backend needs 1.6 times as long, once its
 * slow transposed products are avoided, and six times without that.
 */
import { answerLines } from "./answer-lines.ts";
import { loadPeer } from "./find-peer.ts";
import type { TrainingShape } from "./jax-gpt2.ts";
import { JaxTraining } from "./jax-gpt2.ts";
import type { Jax } from "./jax-module.ts";
import { pretendToBeBrowser } from "./web-worker.ts";

interface Command {
  readonly shape: TrainingShape;
  readonly steps: number;
  readonly threads?: number;
}

const version = "0.1.25";
let jax: Jax | null = null;
let current: { key: string; training: JaxTraining } | null = null;

async function start(threads: number): Promise<Jax> {
  pretendToBeBrowser(threads);
  const loaded = await loadPeer<Jax>("@jax-js/jax", version);
  await loaded.init("wasm");
  loaded.defaultDevice("wasm");
  return loaded;
}

await answerLines<Command>(async ({ shape, steps, threads = 2 }) => {
  jax ??= await start(threads);
  const key = JSON.stringify(shape);
  if (current?.key !== key) {
    current = { key, training: new JaxTraining(jax, shape) };
    for (let i = 0; i < 2; i++) await current.training.step();
  }
  const secondsPerStep: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    losses.push(await current.training.step());
    secondsPerStep.push((performance.now() - start) / 1000);
  }
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { secondsPerStep, losses, peakBytes, parameters: current.training.parameterCount, threads, version };
});
process.exit(0); // worker threads would keep the process

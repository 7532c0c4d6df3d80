/** Stops a training run in the middle and goes on with it, as if nothing had happened. Run: npx tsx examples/resume.ts */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pretrain, runStage } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-resume-"));
const data = join(folder, "text.txt");
writeFileSync(data, "Sing a song of sixpence, a pocket full of rye.\n".repeat(60));

const settings = {
  ...{ model: "gpt2", data: [data], tokenizer: "characters", steps: 30 },
  ...{ layers: 2, heads: 2, width: 32, context: 32, batchSize: 4, learningRate: 3e-3 },
};

// A run that is stopped by a signal saves a checkpoint first. Ctrl-C on the command line does the same.
const stop = new AbortController();
const output = join(folder, "stopped");
const first = await runStage(
  pretrain,
  { ...settings, output },
  {
    signal: stop.signal,
    logged: (step) => step === 12 && stop.abort(),
  },
);
console.log(`stopped after step ${first.step}, interrupted: ${first.interrupted}`);

const rest = await runStage(pretrain, { ...settings, output, resume: true });
console.log(`resumed to step ${rest.step}, loss ${rest.metrics.loss?.toFixed(3)}`);

const whole = await runStage(pretrain, { ...settings, output: join(folder, "whole") });
const weights = (model: string | null): Buffer => readFileSync(join(model ?? "", "model.safetensors"));
console.log(`same weights as a run that never stopped: ${weights(rest.model).equals(weights(whole.model))}`);
rmSync(folder, { recursive: true });

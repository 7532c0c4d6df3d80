/**
 * Pretrains a tiny model, and kills itself without warning a moment after a step is logged if a test wants it.
 * Arguments: text, folder of the run, model, `resume` or nothing, step to be killed at or nothing.
 */
import { pretrain } from "../../src/stages/pretrain/index.ts";
import { runStage } from "../../src/stages/run-stage.ts";

const [data = "", output = "", model = "", resume, killAt] = process.argv.slice(2);

const settings = pretrain.settings.parse({
  ...{ model, data: [data], tokenizer: "characters", output, resume: resume === "resume" },
  ...(model === "lstm" ? {} : { heads: 2 }),
  ...{ layers: 2, width: 16, context: 16, dropout: 0.1, steps: 40, batchSize: 4, accumulation: 2 },
  ...{ learningRate: 1e-3, saveEvery: 3, evaluateEvery: 10, sampleTokens: 4 },
});
const last = killAt ? Number(killAt) : Number.POSITIVE_INFINITY;
await runStage(pretrain, settings, {
  logged(step) {
    if (step >= last) setImmediate(() => process.kill(process.pid, "SIGKILL"));
  },
});

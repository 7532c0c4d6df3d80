/**
 * Runs PPO on tiny models, saying when a step is done: a process that a test can kill.
 * Arguments: folder of the models, folder of the run, `resume` or nothing.
 */
import { join } from "node:path";
import { ppo } from "../../src/stages/ppo.ts";
import { runStage } from "../../src/stages/run-stage.ts";

const [models = "", output = "", resume] = process.argv.slice(2);

const settings = ppo.settings.parse({
  ...{
    model: join(models, "policy"),
    reward: join(models, "reward"),
    prompts: [join(models, "prompts.jsonl")],
    output,
  },
  ...{ steps: 6, answers: 8, batchSize: 4, miniBatches: 2, ppoEpochs: 2, maxNewTokens: 8, learningRate: 1e-3 },
  ...{ temperature: 1, klTarget: 1, klHorizon: 50, saveEvery: 1, threads: 1, resume: resume === "resume" },
});
await runStage(ppo, settings, { logged: (step) => process.stdout.write(`step ${step}\n`) });

/**
 * Runs PPO or GRPO on tiny models, saying when a step is done: a process that a test can kill.
 * Arguments: the stage, folder of the models, folder of the run, `resume` or nothing.
 */
import { join } from "node:path";
import { grpo } from "../../src/stages/grpo.ts";
import { ppo } from "../../src/stages/ppo.ts";
import { runStage } from "../../src/stages/run-stage.ts";

const [name, models = "", output = "", resume] = process.argv.slice(2);

const common = {
  ...{ model: join(models, "policy"), prompts: [join(models, "prompts.jsonl")], output },
  ...{ steps: 6, answers: 8, batchSize: 4, miniBatches: 2, maxNewTokens: 8, learningRate: 1e-3, temperature: 1 },
  ...{ saveEvery: 1, threads: 1, resume: resume === "resume" },
};
const told = { logged: (step: number) => void process.stdout.write(`step ${step}\n`) };

if (name === "ppo") {
  const own = { reward: join(models, "reward"), ppoEpochs: 2, klTarget: 1, klHorizon: 50 };
  await runStage(ppo, ppo.settings.parse({ ...common, ...own }), told);
} else {
  const own = { reward: [join(models, "reward")], generations: 4, passes: 2, beta: 0.04 };
  await runStage(grpo, grpo.settings.parse({ ...common, ...own }), told);
}

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { sampleObjects } from "../../src/eval/eval-results.ts";
import { ModelScorer } from "../../src/eval/model-scorer.ts";
import { runTask } from "../../src/eval/run-task.ts";
import { openTask } from "../../src/eval/task-file.ts";
import { taskPrompts } from "../../src/eval/task-prompts.ts";
import { gpt2 } from "../../src/models/gpt-families.ts";
import { loadModel } from "../../src/models/load.ts";
import { pythonJson } from "../../src/text/jinja/python-text.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { RunningServer } from "../e2e/running-server.ts";
import { writeSmallModel } from "../small-model.ts";
import { peersHint, pythonPeers } from "./python-peers.ts";

const tasks = join(import.meta.dirname, "../parity/fixtures/harness");
const root = mkdtempSync(join(tmpdir(), "stemma-served-harness-"));
afterAll(() => rmSync(root, { recursive: true }));

type Sample = Readonly<Record<string, unknown>>;

const shots = 1;
const context = 1024;

/** Numbers of a sample's answers; texts and truth values as they are. */
function answersOf({ resps }: Sample): unknown[] {
  return (resps as unknown[]).flat(3).map((value) => (/^-?\d/.test(String(value)) ? Number(value) : value));
}

// lm_eval asks the server as it asks OpenAI's: it finds the tokenizer there, too.
describe.skipIf(pythonPeers === null)(
  `lm_eval scores a served model as we do${peersHint}`,
  { timeout: 600_000 },
  () => {
    const folder = join(root, "model");
    let server: RunningServer | null = null;
    beforeAll(async () => {
      await writeSmallModel(folder, gpt2, { n_positions: context });
      server = await RunningServer.start("--model", folder);
      const asked = `model=model,base_url=${server.url}/v1/completions,max_length=${context},num_concurrent=4`;
      const flags = {
        ...{ model: "local-completions", model_args: asked, batch_size: "2", num_fewshot: String(shots) },
        ...{ tasks: "choice,whole,generated", include_path: tasks, output_path: join(root, "theirs") },
      };
      const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
      const env = { ...process.env, HF_HUB_OFFLINE: "1", HF_DATASETS_OFFLINE: "1", HF_HOME: join(root, "cache") };
      await promisify(execFile)(pythonPeers ?? "", ["-m", "lm_eval", ...given, "--log_samples"], {
        ...{ cwd: tasks, env: { ...env, OMP_NUM_THREADS: "1" }, maxBuffer: 1 << 26 },
      });
    }, 600_000);
    afterAll(() => server?.stop());

    test.each(["choice", "whole", "generated"])("%s", async (name) => {
      const place = join(root, "theirs", readdirSync(join(root, "theirs"))[0] ?? "");
      const file = readdirSync(place).find((one) => one.startsWith(`samples_${name}_`)) ?? "";
      const theirs = readFileSync(join(place, file), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Sample);
      const { model } = await loadModel(folder, openReference());
      const scorer = new ModelScorer(model, await loadTokenizer(folder), { name, batchTokens: 2048, seed: 1 });
      const task = await openTask(join(tasks, `${name}.yaml`));
      const prompts = await taskPrompts(task, { shots, limit: 0, seed: 1234, dataFolder: tasks });
      const done = await runTask(task, shots, prompts, scorer, () => {});
      const ours = sampleObjects(done).map((sample) => JSON.parse(pythonJson(sample)) as Sample);
      const [own, other] = [ours.flatMap(answersOf), theirs.flatMap(answersOf)];
      expect(own).toHaveLength(other.length);
      for (const [i, value] of own.entries()) {
        if (typeof value !== "number") expect(value).toBe(other[i]);
        else expect(Math.abs(value - Number(other[i]))).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
      }
    });
  },
);

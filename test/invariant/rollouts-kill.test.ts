import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import { assistantContents, rewardContents } from "../../src/generate/assistant.ts";
import { families } from "../../src/models/index.ts";
import { RewardModel } from "../../src/models/reward-model.ts";
import { Initializer } from "../../src/nn/parameters.ts";
import { trainByteLevelBpe } from "../../src/text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../../src/text/chat-template.ts";
import { ChatEncoder } from "../../src/text/encode-chat.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-kill-"));
const program = join(import.meta.dirname, "run-rollouts.ts");

beforeAll(async () => {
  const tokenizer = trainByteLevelBpe(["user assistant one two three ".repeat(20)], { vocabularySize: 280 });
  const encoder = new ChatEncoder(tokenizer.withSpecialTokens([...chatMlTokens]), new ChatTemplate(chatMl));
  const sizes = { context: 48, width: 16, layers: 1, heads: 2, dropout: 0 };
  const shape = { ...sizes, vocabularySize: encoder.tokenizer.vocabularySize };
  const newModel = (seed: number) =>
    families.gpt2.create(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(seed)));
  const policy = { model: newModel(1), family: families.gpt2, encoder };
  await writeModelFolder(join(root, "policy"), assistantContents(policy));
  const reward = new RewardModel(newModel(2), new Random(3));
  await writeModelFolder(join(root, "reward"), rewardContents(families.gpt2, reward, encoder));
  writeFileSync(
    join(root, "prompts.jsonl"),
    ["one", "two", "three"].map((prompt) => `{"prompt":"${prompt}"}\n`).join(""),
  );
});
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the program, and kills it so many milliseconds after it has said a step; gives how it ended. */
async function runStage(
  name: string,
  output: string,
  resume: boolean,
  kill?: { step: number; afterMs: number },
): Promise<string> {
  const child = spawn(process.execPath, ["--import", "tsx", program, name, root, output, resume ? "resume" : ""], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors += data.toString();
  });
  child.stdout.on("data", (said: Buffer) => {
    const steps = [...said.toString().matchAll(/step (\d+)/g)].map(([, step]) => Number(step));
    if (kill && steps.some((step) => step >= kill.step)) setTimeout(() => child.kill("SIGKILL"), kill.afterMs);
  });
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? `${code} ${errors}`)));
}

test.each(["ppo", "grpo"])(
  "%s killed again and again, while it rolls out and while it learns, ends with the same bits",
  async (name) => {
    const [whole, killed] = [join(root, `${name}-whole`), join(root, `${name}-killed`)];
    expect(await runStage(name, whole, false)).toMatch(/^0 /);
    const moments = [
      { step: 1, afterMs: 3 },
      { step: 2, afterMs: 25 },
      { step: 3, afterMs: 10 },
    ];
    const starts: (string | undefined)[] = [];
    for (const [attempt, moment] of [...moments, undefined].entries()) {
      expect(await runStage(name, killed, attempt > 0, moment)).toMatch(moment ? "SIGKILL" : /^0 /);
      starts.push(JSON.parse(readFileSync(join(killed, "settings.json"), "utf8")).resumedFrom);
    }
    // A step that is said is in the next checkpoint, unless the process was killed before that was complete.
    expect(starts.slice(2)).toEqual([
      expect.stringMatching(/^checkpoint-[1-5]$/),
      expect.stringMatching(/^checkpoint-[2-5]$/),
    ]);
    for (const file of ["final/model.safetensors", "checkpoint-6/optimizer.safetensors"]) {
      expect(readFileSync(join(killed, file)).equals(readFileSync(join(whole, file))), file).toBe(true);
    }
  },
  300_000,
);

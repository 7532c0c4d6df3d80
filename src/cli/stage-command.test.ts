import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { defineStage, runSettings } from "../stages/stage.ts";
import type { Io } from "./command.ts";
import { resolveSettings } from "./settings.ts";
import { stageCommand } from "./stage-command.ts";

/** Halves a number at each step: a loss that falls, with nothing else to go wrong. */
const halving = defineStage({
  name: "halve",
  summary: "halve a number again and again",
  settings: z.object({
    ...runSettings,
    start: z.number().describe("number to halve"),
    steps: z.int().nonnegative().default(4).describe("times to halve it"),
  }),
  beginning: ["start"],
  async prepare({ start, steps }, environment) {
    if (start === 0) throw new SettingsError("start: 0 cannot be halved; give another number");
    return {
      steps,
      firstStep: 0,
      async train(signal) {
        let loss = start;
        for (let step = 1; step <= steps; step++) {
          loss /= 2;
          environment.log(step, { loss, tokens: 64 });
          if (signal.aborted) return { step, interrupted: true };
        }
        environment.sample(steps, { prompt: "half of it", text: " is less" });
        environment.sample(steps, { prompt: "half?", text: "less", isAnswer: true });
        environment.log(steps, { eval_loss: loss });
        return { step: steps, interrupted: false };
      },
    };
  },
});
const command = stageCommand(halving);

let output = "";
beforeEach(() => {
  output = join(mkdtempSync(join(tmpdir(), "stemma-stage-")), "run");
});
afterEach(() => rmSync(join(output, ".."), { recursive: true }));

/** Runs the command with an `Io` that writes everything down. */
async function run(given: Record<string, unknown>, stop = new AbortController()) {
  const said: string[] = [];
  const io: Io = {
    print: (line) => void said.push(`result: ${line}`),
    write: () => {},
    note: (line) => void said.push(line),
    input: Readable.from([]),
    isTerminal: false,
    columns: null,
    fail: () => {},
    progress: ({ title, total }) => ({
      update: (done, facts) => void said.push(`${title} ${done}/${total} ${facts[0]}`),
      stop: () => void said.push("bar stopped"),
    }),
    stopSignal: () => stop.signal,
    onInterrupt: () => () => undefined,
  };
  const settings = await resolveSettings({ command, given, config: null, json: false }, io);
  const result = await command.run(settings as z.output<typeof halving.settings>, io);
  return { result, said };
}

test("a stage shows its progress, then what was reached", async () => {
  const { result, said } = await run({ output, start: 8 });
  expect(said).toEqual([
    "halve 1/4 loss 4.000",
    "halve 2/4 loss 2.000",
    "halve 3/4 loss 1.000",
    "halve 4/4 loss 0.5000",
    "step 4: half of it is less",
    "step 4: half? → less",
    "halve 4/4 loss 0.5000",
    "bar stopped",
    expect.stringMatching(/^result: halve: step 4 after [\d.]+ s; loss 0.5000, eval loss 0.5000; model in .*final$/),
  ]);
  expect(result).toMatchObject({ step: 4, interrupted: false, output, metrics: { loss: 0.5, eval_loss: 0.5 } });
});

test("a stopped run says how to go on", async () => {
  const stop = new AbortController();
  stop.abort();
  const { result, said } = await run({ output, start: 8 }, stop);
  expect(result).toMatchObject({ step: 1, interrupted: true, model: null });
  expect(said.at(-1)).toMatch(/stopped and saved, go on with: stemma halve --output .*run --resume$/);
});

test("a resumed run has the settings it was started with, unless others are given", async () => {
  await run({ output, start: 8, steps: 2 });
  await run({ output, resume: true });
  expect(recorded()).toMatchObject({ start: 8, steps: 2, resume: true });
  await run({ output, resume: true, steps: 3 });
  expect(recorded()).toMatchObject({ start: 8, steps: 3 });
});

test("a run that is to be resumed where there is none begins, and says so", async () => {
  const nothing = `${output} holds no run to resume; a new one begins`;
  expect((await run({ output, resume: true, start: 8 })).said[0]).toBe(nothing);
  expect((await run({ output, resume: true, start: 8 })).said).not.toContain(nothing);
  rmSync(output, { recursive: true });
  expect((await run({ output, start: 8 })).said).not.toContain(nothing);
});

test("a resumed run does not take up what only a new one can begin with", async () => {
  await run({ output, start: 8, steps: 2 });
  await run({ output, resume: true, start: 9 }); // nothing is there to go on from, so it begins anew
  await run({ output, resume: true, start: 8 });
  mkdirSync(join(output, "checkpoint-2"));
  const files = ["config.json", "model.safetensors", "optimizer.safetensors", "trainer_state.json", "rng_state.json"];
  for (const name of files) {
    writeFileSync(join(output, "checkpoint-2", name), "");
  }
  await run({ output, resume: true, start: 8 });
  await expect(run({ output, resume: true, start: 9 })).rejects.toThrow(
    `start: 9 is asked for, ${output} goes on with 8; leave --start out, or begin a new run with another --output`,
  );
});

test("wrong settings leave no run behind, so that the next try can have the folder", async () => {
  await expect(run({ output, start: 0 })).rejects.toThrow(SettingsError);
  await run({ output, start: 1 });
  await expect(run({ output, start: 1 })).rejects.toThrow(`${output} already holds a run`);
});

function recorded(): unknown {
  return JSON.parse(readFileSync(join(output, "settings.json"), "utf8")).settings;
}

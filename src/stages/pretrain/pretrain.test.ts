import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { CarriedState } from "../../train/carried-state.ts";
import type { StageResult } from "../run-stage.ts";
import { runStage } from "../run-stage.ts";
import { pretrain } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-pretrain-"));
afterAll(() => rmSync(root, { recursive: true }));

const text = join(root, "text.txt");
writeFileSync(text, "The cat sat on the mat and the dog sat on the log.\n".repeat(60));

const tiny = { layers: 1, heads: 2, width: 16, context: 16, batchSize: 4, learningRate: 1e-2, sampleTokens: 8 };
let runs = 0;

/** Runs the stage as the command line does, in a folder of its own. */
async function run(given: object, notes: string[] = []): Promise<StageResult> {
  const output = join(root, `run-${runs++}`);
  const settings = pretrain.settings.parse({ tokenizer: "characters", data: [text], steps: 20, output, ...given });
  return runStage(pretrain, settings, { note: (line) => void notes.push(line) });
}

const weights = ({ model }: StageResult): Buffer => readFileSync(join(model ?? "", "model.safetensors"));

test.each([
  ["gpt1", 40],
  ["gpt2", 40],
  ["llama", 40],
  ["lstm", 80],
  ["mixtral", 40],
  ["prefix", 40],
])(
  "%s learns, and its folder goes on",
  async (model, steps) => {
    const notes: string[] = [];
    const first = await run({ ...tiny, ...(model === "lstm" ? { heads: undefined } : {}), model, steps }, notes);
    expect(first.metrics.loss).toBeLessThan(2.3);
    expect(first.metrics.eval_loss).toBeLessThan(2.3);
    expect(first.metrics.eval_bits_per_character).toBeCloseTo((first.metrics.eval_loss ?? 0) / Math.LN2, 5);
    expect(notes.at(-1)).toMatch(/parameters, vocabulary of \d+; [\d,]+ tokens to train on, [\d,]+ to evaluate on/);
    const { context, batchSize, sampleTokens } = tiny;
    const again = { model: first.model, tokenizer: undefined, context, batchSize, sampleTokens, steps: 10 };
    const second = await run({ ...again, learningRate: 1e-3 });
    expect(second.metrics.eval_loss).toBeLessThan(first.metrics.eval_loss ?? 0);
    const config = JSON.parse(readFileSync(join(second.model ?? "", "config.json"), "utf8"));
    expect(config.prefix_lm).toBe(model === "prefix" ? true : undefined);
  },
  60_000,
);

test("one thread and two give the same bits, and so does computing blocks twice", async () => {
  const settings = { ...tiny, layers: 2, dropout: 0.1 };
  const one = weights(await run({ ...settings, threads: 1 }));
  expect(weights(await run({ ...settings, threads: 2 })).equals(one)).toBe(true);
  expect(weights(await run({ ...settings, threads: 1, recompute: true })).equals(one)).toBe(true);
});

test("an LSTM that was stopped between two batches of a step goes on with what it was before that step", async () => {
  const settings = { ...tiny, heads: undefined, model: "lstm", steps: 7, accumulation: 2, dropout: 0.1 };
  const whole = await run(settings);
  const stop = new AbortController();
  const { replace } = CarriedState.prototype;
  let parts = 0;
  const counting = vi.spyOn(CarriedState.prototype, "replace").mockImplementation(function (this: CarriedState, ...of) {
    replace.apply(this, of);
    if (++parts === 2 * 4 + 1) stop.abort();
  });
  const output = join(root, `run-${runs++}`);
  const parsed = pretrain.settings.parse({ tokenizer: "characters", data: [text], ...settings, output });
  const stopped = await runStage(pretrain, parsed, { signal: stop.signal }).finally(() => counting.mockRestore());
  expect([stopped.interrupted, stopped.step, parts]).toEqual([true, 4, 9]);
  const rest = await runStage(pretrain, { ...parsed, resume: true });
  expect(weights(rest).equals(weights(whole))).toBe(true);
});

test("an LSTM that was stopped in the middle of a stretch goes on with the state it had", async () => {
  const settings = { ...tiny, heads: undefined, model: "lstm", steps: 7, accumulation: 2, dropout: 0.1 };
  const whole = await run(settings);
  const stop = new AbortController();
  const output = join(root, `run-${runs++}`);
  const parsed = pretrain.settings.parse({ tokenizer: "characters", data: [text], ...settings, output });
  const logged = (step: number): void => (step === 4 ? stop.abort() : undefined);
  expect(await runStage(pretrain, parsed, { signal: stop.signal, logged })).toMatchObject({
    interrupted: true,
    step: 4,
  });
  const rest = await runStage(pretrain, { ...parsed, resume: true });
  expect(weights(rest).equals(weights(whole))).toBe(true);
  expect(rest.metrics.eval_loss).toBe(whole.metrics.eval_loss);
});

test("accumulation sums batches: the same loss but for rounding", async () => {
  const whole = await run({ ...tiny, batchSize: 8 });
  const parts = await run({ ...tiny, batchSize: 2, accumulation: 4 });
  expect(parts.metrics.loss).toBeCloseTo(whole.metrics.loss ?? 0, 3);
  expect(parts.metrics.eval_loss).toBeCloseTo(whole.metrics.eval_loss ?? 0, 3);
});

test("a tokenizer learned from the data has the tokens that were asked for", async () => {
  const notes: string[] = [];
  const result = await run({ ...tiny, tokenizer: "bpe-270", steps: 1 }, notes);
  const config = JSON.parse(readFileSync(join(result.model ?? "", "config.json"), "utf8"));
  expect(config.vocab_size).toBe(270);
  expect(notes).toContain("learned a byte-level BPE of 270 tokens");
});

test.each([
  [{ model: "gtp2" }, /no family and no folder called gtp2; did you mean gpt2\?/],
  [{ heads: 3 }, /heads: 3 do not divide the width of 16; choose heads that do, such as [24]/],
  [{ tokenizer: "bpe" }, /tokenizer: bpe is neither characters, nor bpe-N/],
  [{ data: [join(root, "missing.txt")] }, /missing\.txt: does not exist; check the path/],
  [{ maskRate: 0.3 }, /maskRate: is for bert, t5, bart, transformer, this is a gpt2; leave it out/],
  [{ context: 4000 }, /one window of context 4000 needs 4001; use a context of at most \d+/],
])("%j is refused in a line that says what to do", async (given, message) => {
  await expect(run({ ...tiny, ...given })).rejects.toThrow(message);
});

test("a model that exists keeps its shape", async () => {
  const { model } = await run({ ...tiny, steps: 0 });
  const again = { model, tokenizer: undefined, steps: 1 };
  await expect(run({ ...again, layers: 2 })).rejects.toThrow(/layers: 2 is asked for, .* has 1; leave --layers out/);
  await expect(run({ ...again, context: 32 })).rejects.toThrow(/context: 32 is asked for, .* sees 16 tokens at most/);
});

test("a recurrent model has no heads to divide its width, nor to be asked for", async () => {
  const shape = { ...tiny, model: "lstm", heads: undefined, width: 20, steps: 0 }; // 6 heads would not divide it
  const { model } = await run(shape);
  const message = "heads: 2 are asked for, an lstm has none; leave --heads out";
  await expect(run({ ...shape, heads: 2 })).rejects.toThrow(message);
  await expect(run({ model, tokenizer: undefined, heads: 2 })).rejects.toThrow(message);
});

test("what a model that exists brings along cannot be asked for otherwise", async () => {
  const { model } = await run({ ...tiny, steps: 0 });
  const again = { model, steps: 1, batchSize: 4 };
  await expect(run({ ...again, tokenizer: "bpe-300" })).rejects.toThrow(/tokenizer: bpe-300 is asked for, .* its own/);
  await expect(run({ ...again, tokenizer: undefined, dropout: 0.1 })).rejects.toThrow(/dropout: 0.1 is asked for/);
});

test("prompts that cannot be continued are refused before training", async () => {
  await expect(run({ ...tiny, prompts: [""] })).rejects.toThrow(/prompt 1 has no tokens/);
  await expect(run({ ...tiny, prompts: ["The cat sat on the mat"] })).rejects.toThrow(/the model's context is 16/);
});

test("a model with weights that are no numbers is refused before it is trained", async () => {
  const { model } = await run({ ...tiny, steps: 0 });
  const file = join(model ?? "", "model.safetensors");
  const bytes = readFileSync(file);
  bytes.writeFloatLE(Number.NaN, bytes.length - 4);
  writeFileSync(file, bytes);
  await expect(run({ model, tokenizer: undefined, steps: 1, batchSize: 4 })).rejects.toThrow(
    /final\/model\.safetensors: transformer\.wte\.weight holds NaN at element \d+, /,
  );
});

test("a loss that is not finite stops the run and names the step and the checkpoint to go on from", async () => {
  await expect(run({ ...tiny, learningRate: 1e30, maxGradientNorm: 0, saveEvery: 1, warmupSteps: 0 })).rejects.toThrow(
    /step 2: loss is NaN .* smaller learning rate .* last good checkpoint is .*checkpoint-1 /,
  );
});

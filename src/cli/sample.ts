import { existsSync } from "node:fs";
import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { shellLine } from "../core/shell-line.ts";
import type { EncodedPrompt } from "../data/encoded-rankings.ts";
import { encodePrompts } from "../data/encoded-rankings.ts";
import type { Prompt } from "../data/prompts.ts";
import { readPrompts } from "../data/prompts.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { Assistant } from "../generate/assistant.ts";
import { openAssistant } from "../generate/assistant.ts";
import { cacheSettings } from "../generate/generation-settings.ts";
import { askedSamplingSettings, writingOf } from "../generate/own-sampling.ts";
import type { SamplingSettings } from "../generate/sampling.ts";
import { weightSettings } from "../models/weight-choice.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { badRowSettings, readNotingBad } from "../stages/row-settings.ts";
import { sampleAnswers } from "../train/sample-answers.ts";
import { defineCommand } from "./command.ts";

/** `stemma sample`: some answers to each prompt, to be ranked. */
export const sample = defineCommand({
  name: "sample",
  summary: "write some answers to each prompt, to be ranked",
  group: "Use a model",
  settings: z.object({
    model: z.string().min(1).describe("model folder, or a GGUF file").meta({ placeholder: "folder" }),
    ...addedAdapterSettings,
    prompts: z
      .array(z.string())
      .min(1)
      .describe("prompts: files of JSON, CSV or Parquet")
      .meta({ placeholder: "file" }),
    ...badRowSettings,
    output: z.string().min(1).describe("JSONL file for prompts and answers").meta({ placeholder: "file" }),
    answers: z
      .int()
      .min(1)
      .default(4)
      .describe("answers to each prompt")
      .meta({ aliases: ["k"] }),
    maxNewTokens: z
      .int()
      .positive()
      .optional()
      .describe("longest answer, in tokens (default: the model's own, else 128, but no more than half of the context)"),
    batchSize: z.int().positive().default(64).describe("answers decoded side by side"),
    ...askedSamplingSettings,
    seed: z.int().nonnegative().default(1).describe("number that the answers follow from"),
    ...weightSettings,
    ...cacheSettings,
    ...machineSettings,
  }),
  examples: ["stemma sample --model runs/sft/final --prompts prompts.jsonl --answers 4 --output samples.jsonl"],
  async run({ output, answers, prompts: files, ...settings }, io) {
    if (existsSync(output)) throw new SettingsError(`${output} exists already; choose another --output`);
    const signal = io.stopSignal();
    const backend = await openMachine(settings, io);
    const assistant = await openAssistant(settings.model, backend, settings.weights ?? "stored", settings.adapter);
    const { sampling, maxNewTokens: own, note } = await writingOf(settings.model, settings);
    if (note !== null) io.note(note);
    const { context } = assistant.model.settings;
    const maxNewTokens = settings.maxNewTokens ?? Math.min(own ?? 128, Math.floor(context / 2));
    const prompts = await readNotingBad(settings, { note: io.note, signal }, async (bad) => {
      const all = await readPrompts(files, bad);
      const fitting = { context, longRows: "error", bad } as const;
      return (await encodePrompts(all, assistant.encoder, maxNewTokens, fitting)).items;
    });
    const options = { ...settings, sampling, maxNewTokens, signal };
    const rows = await answerAll(assistant, prompts, answers, options);
    await writeFileAtomic(output, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const next = [shellLine("stemma", "rank", "--samples", output), shellLine("stemma", "ui", "--rank", output)];
    io.print(
      `${rows.length} prompts with ${answers} answers each in ${output}; next: ${next.join(", or in a browser ")}`,
    );
    return { output, prompts: rows.length, answers };
  },
});

interface Row {
  readonly prompt: string | Prompt["messages"];
  readonly completions: readonly string[];
}

async function answerAll(
  { model, encoder }: Assistant,
  prompts: readonly EncodedPrompt[],
  count: number,
  settings: {
    readonly sampling: SamplingSettings;
    readonly maxNewTokens: number;
    readonly batchSize: number;
    readonly seed: number;
    readonly cacheType?: CacheType | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Row[]> {
  const { sampling, batchSize, maxNewTokens, cacheType, signal } = settings;
  const repeated = prompts.flatMap(({ ids }) => Array.from({ length: count }, () => ids));
  const seed = new Random(settings.seed).reader().word();
  const { tokenizer } = encoder;
  const options = {
    ...{ sampling, maxNewTokens, batchSize, seed, cacheType, tokenizer, signal },
    endTokens: encoder.endTokens(),
  };
  const all = await sampleAnswers(model, repeated, options);
  return prompts.map(({ messages }, i) => {
    const own = all.slice(i * count, (i + 1) * count);
    const completions = own.map(({ answer }) => tokenizer.decode(answer, { skipSpecialTokens: true }));
    const [only, ...more] = messages;
    return { prompt: only?.role === "user" && more.length === 0 ? only.content : messages, completions };
  });
}

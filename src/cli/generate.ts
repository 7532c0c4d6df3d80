import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { kebabCase } from "../core/flags.ts";
import { parseJsonObject } from "../files/json.ts";
import type { Assistant } from "../generate/assistant.ts";
import { openAssistant, tokenizerIn } from "../generate/assistant.ts";
import { generateText } from "../generate/generate-text.ts";
import { cacheSettings, searchBounds } from "../generate/generation-settings.ts";
import type { AnswerGrammar } from "../generate/grammar/answer-grammar.ts";
import { askedSamplingSettings, writingOf } from "../generate/own-sampling.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import type { Architecture } from "../models/family.ts";
import { speakingFamilyIn } from "../models/load.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { begun } from "../text/text-bounds.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import type { Answerer, Continuation } from "./generate-other.ts";
import { otherAnswerers } from "./generate-other.ts";
import { readInput, readTextFile } from "./read-input.ts";
import { WordWrap } from "./word-wrap.ts";

const GenerateSettings = z.object({
  model: z.string().min(1).describe("model folder, or a GGUF file").meta({ placeholder: "folder" }),
  ...addedAdapterSettings,
  prompt: z
    .array(z.string())
    .default([])
    .describe("text to continue; repeat for several")
    .meta({ placeholder: "text", commas: false }),
  promptFile: z
    .string()
    .optional()
    .describe("file with one prompt, or - for standard input")
    .meta({ placeholder: "path" }),
  maxNewTokens: z
    .int()
    .positive()
    .optional()
    .describe("longest continuation, in tokens (default: the model's own, else 100)")
    .meta({ aliases: ["max_tokens"] }),
  samples: z
    .int()
    .positive()
    .max(100_000)
    .default(1)
    .describe("continuations of each prompt")
    .meta({ aliases: ["n", "num_return_sequences"] }),
  ...askedSamplingSettings,
  stop: z
    .array(z.string().min(1))
    .default([])
    .describe("text that ends a continuation and is not shown")
    .meta({ commas: false }),
  ignoreEndOfText: z.boolean().default(false).describe("go on after the end-of-text token"),
  beams: searchBounds.beams
    .default(1)
    .describe(
      "beginnings kept while the likeliest text is looked for, at most 64; 1 goes token by token (encoder-decoders)",
    )
    .meta({ aliases: ["num_beams"] }),
  lengthPenalty: searchBounds.lengthPenalty
    .optional()
    .describe("power of a text's length that its log-probability is divided by, with --beams (default: 1)"),
  jsonSchema: z
    .string()
    .optional()
    .describe("file with a JSON schema that the continuations must fit; {} is any JSON")
    .meta({ placeholder: "path" }),
  seed: z.int().nonnegative().default(1).describe("number that the continuations follow from"),
  ...weightSettings,
  ...cacheSettings,
  ...machineSettings,
});
type GenerateSettings = z.output<typeof GenerateSettings>;

/** Settings, and what they and the model make of sampling and length. */
type Asked = GenerateSettings & { readonly sampling: SamplingSettings; readonly longest: number };

/** `stemma generate`: continues prompts; an encoder-decoder answers them, an encoder fills in their masks. */
export const generate = defineCommand({
  name: "generate",
  summary: "continue a prompt",
  group: "Use a model",
  settings: GenerateSettings,
  examples: ['stemma generate --model runs/book/final --prompt "In the beginning" --temperature 0.8 --top-p 0.95'],
  async run(settings, io) {
    const prompts = await promptsOf(settings, io);
    const backend = await openMachine(settings, io);
    const { architecture = "decoder", modelType } = await speakingFamilyIn(settings.model);
    const answer = architecture === "decoder" ? null : otherAnswerers[architecture];
    refuseSearch(settings, architecture);
    refuseIdle(settings, architecture);
    if (architecture !== "decoder" && settings.cacheType !== undefined) {
      throw new SettingsError(`cache type: is for decoders, this is a ${modelType}; leave it out`);
    }
    if (architecture !== "decoder") await refuseGaps(prompts, settings.model, { architecture, modelType });
    const start = performance.now();
    const asked = { ...settings, ...(await writingAsked(settings, architecture, io)) };
    const { continuations, tokens } = answer
      ? await answerAll(answer, prompts, asked, io, backend)
      : await continueAll(
          await openAssistant(settings.model, backend, settings.weights ?? "stored", settings.adapter),
          prompts,
          asked,
          io,
        );
    const seconds = (performance.now() - start) / 1000;
    io.note(`${tokens} tokens in ${seconds.toFixed(1)} s, ${(tokens / seconds).toFixed(0)} a second`);
    return { continuations, tokens, seconds };
  },
});

/** Sampling and length; what a model recommends of sampling is nothing to masks and searches. */
async function writingAsked(
  settings: GenerateSettings,
  architecture: Architecture,
  io: Io,
): Promise<Pick<Asked, "sampling" | "longest">> {
  const isCertain = architecture === "encoder" || settings.beams > 1;
  if (isCertain) return { sampling: SamplingSettings.parse({}), longest: settings.maxNewTokens ?? usualLongest };
  const { sampling, maxNewTokens, note } = await writingOf(settings.model, settings);
  if (note !== null) io.note(note);
  return { sampling, longest: maxNewTokens ?? usualLongest };
}

/** Longest continuation where nobody says otherwise, in tokens. */
const usualLongest = 100;

/** @throws {SettingsError} when there is a search for the likeliest text, or half of one, and nothing to search. */
function refuseSearch({ beams, lengthPenalty }: GenerateSettings, architecture: Architecture): void {
  if (beams > 1 && architecture !== "encoder-decoder") {
    throw new SettingsError(`beams: a search of ${beams} beams is for encoder-decoders; leave --beams out`);
  }
  if (beams === 1 && lengthPenalty !== undefined) {
    throw new SettingsError(
      `length-penalty: ${lengthPenalty} has an effect only in a search; add --beams 4 or leave --length-penalty out`,
    );
  }
}

type Key = keyof GenerateSettings;

const samplingKeys = Object.keys(SamplingSettings.shape) as (keyof SamplingSettings)[];

/** @throws {SettingsError} naming the settings that would change nothing about what a model makes of its prompts. */
function refuseIdle(settings: GenerateSettings, architecture: Architecture): void {
  if (architecture === "decoder") return;
  const isFilling = architecture === "encoder";
  const isCertain = isFilling || settings.beams > 1;
  const keys: readonly Key[] = [
    ...(isFilling ? (["maxNewTokens"] as const) : []),
    ...(isCertain ? (["samples", ...samplingKeys] as const) : []),
    ...(["stop", "ignoreEndOfText", "jsonSchema"] as const),
  ];
  const usual = GenerateSettings.parse({ model: settings.model });
  const isGiven = (key: Key): boolean => JSON.stringify(settings[key]) !== JSON.stringify(usual[key]);
  // To take the likeliest is what a temperature of 0 asks for.
  const idle = keys.filter((key) => isGiven(key) && !(key === "temperature" && settings.temperature === 0));
  if (idle.length === 0) return;
  const what = isFilling
    ? "an encoder puts the likeliest words into the masks of a prompt"
    : isCertain
      ? "a search finds one text, the likeliest"
      : "an encoder-decoder writes until its text ends";
  const flags = idle.map((key) => `--${kebabCase(key)}`).join(" and ");
  throw new SettingsError(
    `generate: ${flags} would have no effect, since ${what}; leave ${idle.length > 1 ? "them" : "it"} out`,
  );
}

async function promptsOf({ prompt, promptFile }: GenerateSettings, io: Io): Promise<string[]> {
  if (promptFile === undefined) {
    if (prompt.length > 0) return prompt;
    throw new SettingsError("there is no prompt; give --prompt TEXT or --prompt-file PATH");
  }
  const text = promptFile === "-" ? await readInput(io, "prompt", "--prompt") : await readTextFile(promptFile);
  return [...prompt, text];
}

/** Architectures that fill in gaps; to a decoder what stands for one is text like any other. */
type Filler = Exclude<Architecture, "decoder">;

/** How gaps are written that an architecture does not fill in. */
const gapsOfOthers: Readonly<Record<Filler, RegExp>> = {
  encoder: /<extra_id_\d+>/g,
  "encoder-decoder": /\[MASK\]/g,
};

/** What a prompt can have instead of a gap that another architecture fills in. */
const insteadOfGap: Readonly<Record<Filler, string>> = {
  encoder: "write [MASK] for each missing word",
  "encoder-decoder": "write <extra_id_0> for the first gap, <extra_id_1> for the next",
};

/**
 * What stands for a gap in the prompts of encoders would be text like any other to encoder-decoders, and the reverse.
 *
 * @throws {SettingsError} when a prompt has a gap that the model's tokenizer does not know.
 */
async function refuseGaps(
  prompts: readonly string[],
  model: string,
  { architecture, modelType }: { readonly architecture: Filler; readonly modelType: string },
): Promise<void> {
  const gaps = prompts.flatMap((prompt) => prompt.match(gapsOfOthers[architecture]) ?? []);
  if (gaps.length === 0) return;
  const { specialTokens } = await tokenizerIn(model);
  const gap = gaps.find((token) => !specialTokens.has(token));
  if (gap === undefined) return;
  const filler = gap === "[MASK]" ? "bert" : "t5";
  throw new SettingsError(
    `prompt: ${gap} stands for a gap that a ${filler} fills in, this is a ${modelType}; ${insteadOfGap[architecture]}`,
  );
}

/** What models that are no decoders make of the prompts is shown when it is complete; of several, behind its prompt. */
async function answerAll(
  answer: Answerer,
  prompts: readonly string[],
  settings: Asked,
  io: Io,
  backend: Backend,
): Promise<{ continuations: Continuation[]; tokens: number }> {
  const repeated = prompts.flatMap((prompt) => Array.from({ length: settings.samples }, () => prompt));
  const { lengthPenalty = 1, longest: maxNewTokens } = settings;
  const options = { ...settings, lengthPenalty, maxNewTokens, signal: io.stopSignal() };
  const answered = await answer(settings.model, repeated, options, backend);
  const isOnly = repeated.length === 1;
  for (const { prompt, text } of answered.continuations) io.print(isOnly ? text : `${prompt} → ${text}\n`);
  return answered;
}

/** One continuation is shown as it comes, several when each is complete. */
async function continueAll(
  { model, encoder }: Assistant,
  prompts: readonly string[],
  settings: Asked,
  io: Io,
): Promise<{ continuations: Continuation[]; tokens: number }> {
  const { samples, sampling, longest: maxNewTokens, seed, cacheType, stop, ignoreEndOfText } = settings;
  const repeated = prompts.flatMap((prompt) => Array.from({ length: samples }, () => prompt));
  const { tokenizer } = encoder;
  const endTokens = ignoreEndOfText ? new Set<number>() : encoder.endTokens();
  const continuations = repeated.map((prompt): Continuation => ({ prompt, text: "", finishReason: null }));
  const encoded = repeated.map((prompt) => encodePrompt(prompt, tokenizer));
  const isOnly = repeated.length === 1;
  const grammar = settings.jsonSchema === undefined ? undefined : await schemaIn(settings.jsonSchema);
  const options = { sampling, maxNewTokens, seed, cacheType, stop, endTokens, grammar, signal: io.stopSignal() };
  const lines = new WordWrap(() => io.columns);
  let tokens = 0;
  for await (const { index, text, finish } of generateText(model, tokenizer, encoded, options)) {
    const continuation = continuations[index];
    if (!continuation) continue;
    if (isOnly && tokens === 0) io.write(lines.add(continuation.prompt));
    tokens += 1;
    continuation.text += text;
    continuation.finishReason = finish;
    if (isOnly) io.write(lines.add(text));
  }
  if (isOnly) io.write(`${lines.end()}\n`);
  else for (const { prompt, text } of continuations) io.print(`${prompt}${text}\n`);
  return { continuations, tokens };
}

async function schemaIn(path: string): Promise<AnswerGrammar> {
  return { kind: "json", schema: parseJsonObject(path, await readTextFile(path)) };
}

/** An empty prompt starts a new text. */
function encodePrompt(prompt: string, tokenizer: Assistant["encoder"]["tokenizer"]): Int32Array {
  const ids = begun(tokenizer, tokenizer.encode(prompt));
  return ids.length === 0 && tokenizer.endOfText !== null ? Int32Array.of(tokenizer.endOfText) : ids;
}

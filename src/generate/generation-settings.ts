import { z } from "zod";
import { parseSettings } from "../core/parse-settings.ts";
import { cacheTypes } from "../nn/key-value-cache.ts";
import type { EmbedOptions } from "./embed.ts";
import type { GenerationOptions } from "./generate.ts";
import type { TextGenerationOptions } from "./generate-text.ts";
import type { AnswerGrammar } from "./grammar/answer-grammar.ts";
import type { SamplingSettings } from "./sampling.ts";
import { samplingOf } from "./sampling.ts";
import type { TokenNames } from "./spare-rows.ts";
import type { SearchOptions, WritingOptions } from "./text-to-text.ts";

const GenerationSettings = z.object({
  sampling: z.custom<SamplingSettings>().optional(), // has messages of its own
  maxNewTokens: z.int().positive(),
  endTokens: having<ReadonlySet<number>>("has", "must be a Set of token ids").optional(),
  shouldStop: z
    .custom<NonNullable<GenerationOptions["shouldStop"]>>(isFunction, "must be a function of an index and a token")
    .optional(),
  seed: z.int().nonnegative(),
  batchSize: z.int().positive().optional(),
  cacheType: z.enum(cacheTypes).optional(),
  signal: having<AbortSignal>("throwIfAborted", "must be an AbortSignal").optional(),
  tokenizer: having<TokenNames>("tokenOf", "must be a tokenizer").optional(),
  grammar: z.custom<AnswerGrammar>().optional(), // has messages of its own
});

const TextGenerationSettings = GenerationSettings.omit({ shouldStop: true, tokenizer: true }).extend({
  stop: z.array(z.string()).readonly().optional(),
  isAnswer: z.boolean().optional(),
});

/** `--cache-type` of commands that decode, to spread into their schema. */
export const cacheSettings = {
  cacheType: z
    .enum(cacheTypes)
    .optional()
    .describe(
      "how keys and values of earlier tokens are kept; bfloat16 halves their memory and rounds them (default: float32)",
    )
    .meta({ group: "Machine" }),
} as const;

const WritingSettings = GenerationSettings.pick({
  sampling: true,
  maxNewTokens: true,
  seed: true,
  tokenizer: true,
  signal: true,
});

/** Bounds of a search, which the command line shares. */
export const searchBounds = {
  beams: z.int().positive().max(64), // each costs as much time and memory as a text of its own
  lengthPenalty: z.number().min(0).max(100), // far beyond, every text would have a score of 0
} as const;

const SearchSettings = WritingSettings.omit({ sampling: true, seed: true }).extend(searchBounds);

const EmbedSettings = z.object({
  prompt: z.string().nullish(),
  promptName: z.string().nullish(),
  batchSize: z.int().positive().optional(),
  signal: GenerationSettings.shape.signal,
  onProgress: z.custom<NonNullable<EmbedOptions["onProgress"]>>(isFunction, "must be a function of a count").optional(),
});

/** {@link GenerationOptions} of which the sampling is complete. */
export type CheckedOptions = GenerationOptions & { readonly sampling: SamplingSettings };

/**
 * Options of {@link generate} as a caller gives them, checked, with the sampling complete.
 *
 * @throws {SettingsError} naming what is missing, wrong or unknown.
 */
export function checkedOptions(given: GenerationOptions): CheckedOptions {
  parseSettings("generate", GenerationSettings, given as z.input<typeof GenerationSettings>);
  return { ...given, sampling: samplingOf(given.sampling ?? {}) };
}

/**
 * Makes sure of options of {@link generateText}; its sampling is checked by {@link checkedOptions}.
 *
 * @throws {SettingsError} naming what is missing, wrong or unknown.
 */
export function checkTextOptions(given: TextGenerationOptions): void {
  parseSettings("generateText", TextGenerationSettings, given as z.input<typeof TextGenerationSettings>);
}

/**
 * Makes sure of options of {@link writeTexts}; what its sampling holds is checked by {@link samplingOf}.
 *
 * @throws {SettingsError} naming what is missing, wrong or unknown.
 */
export function checkWritingOptions(given: WritingOptions): void {
  parseSettings("writeTexts", WritingSettings, given as z.input<typeof WritingSettings>);
}

/**
 * Makes sure of options of {@link searchTexts}.
 *
 * @throws {SettingsError} naming what is missing, wrong or unknown.
 */
export function checkSearchOptions(given: SearchOptions): void {
  parseSettings("searchTexts", SearchSettings, given as z.input<typeof SearchSettings>);
}

/**
 * Makes sure of options of {@link embedTexts}.
 *
 * @throws {SettingsError} naming what is wrong or unknown.
 */
export function checkEmbedOptions(given: EmbedOptions): void {
  parseSettings("embedTexts", EmbedSettings, given as z.input<typeof EmbedSettings>);
}

/** An object that can do what is needed of it, whichever class it is of. */
function having<T>(method: string, demand: string): z.ZodType<T> {
  return z.custom<T>((value) => isFunction((value as Record<string, unknown> | null)?.[method]), demand);
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

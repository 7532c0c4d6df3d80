import { z } from "zod";
import type { EncodedPrompt } from "../data/encoded-rankings.ts";
import { encodePrompts } from "../data/encoded-rankings.ts";
import { epochOrder } from "../data/epochs.ts";
import { readPrompts } from "../data/prompts.ts";
import type { Assistant } from "../generate/assistant.ts";
import type { RowReader } from "./fitting-rows.ts";
import { readFittingRows } from "./fitting-rows.ts";
import { badRowSettings, contextSettings } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/** What a stage asks the model that learns, to spread into its schema. */
export const promptSettings = {
  prompts: z
    .array(z.string())
    .min(1)
    .describe("prompts: files of JSON, CSV or Parquet")
    .meta({ placeholder: "file", isData: true }),
  ...badRowSettings,
  context: contextSettings.context.describe(
    "most tokens of a prompt with its answer; default: what the longest needs, at most what the model reads and memory holds",
  ),
  longRows: z.enum(["error", "skip"]).default("error").describe("what to do with a prompt too long for the context"),
} as const;

const Prompts = z.object(promptSettings);

/** Which prompts, and how many of them are asked in an iteration. */
export interface Asking extends z.output<typeof Prompts> {
  readonly maxNewTokens: number;
  readonly seed: number;
  /** Prompts of an iteration. */
  readonly perStep: number;
  /** Whether rows that differ in any column, such as the answer, are two prompts. */
  readonly isByRow: boolean;
}

/** Prompts in token ids, and the context that the longest of them needs with its answer. */
export interface AskedPrompts {
  /** Those of an iteration: a function of its number alone, all of them once an epoch. */
  readonly at: (step: number) => readonly EncodedPrompt[];
  readonly all: readonly EncodedPrompt[];
  readonly context: number;
  /** Tokens of the longest prompt with its answer. */
  readonly longest: number;
}

/** Reads the prompts of a stage that learns from its own answers. */
export async function askedPrompts(
  { model, encoder }: Assistant,
  asking: Asking,
  environment: StageEnvironment,
): Promise<AskedPrompts> {
  const { maxNewTokens, seed, perStep, isByRow } = asking;
  const reader: RowReader<EncodedPrompt> = {
    noun: "prompts",
    most: model.settings.context,
    async read(paths, options) {
      const all = await readPrompts(paths, options.bad, isByRow);
      return { ...(await encodePrompts(all, encoder, maxNewTokens, options)), total: all.length };
    },
  };
  const { items, longest, context } = await readFittingRows(asking.prompts, asking, reader, environment);
  const order = epochOrder(seed, items.length);
  const at: AskedPrompts["at"] = (step) =>
    Array.from({ length: perStep }, (_, i) => items[order(step * perStep + i)]).filter((prompt) => !!prompt);
  return { at, all: items, context, longest: Math.min(longest, context) };
}

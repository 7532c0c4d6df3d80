import { z } from "zod";
import { chooseToken } from "../backend/reference/token-choice.ts";
import type { TokenAmounts, TokenChoice } from "../backend/token-choice.ts";
import { parseSettings } from "../core/parse-settings.ts";
import type { DrawReader } from "../core/random.ts";

/** How the next token is chosen from the model's distribution. */
export const SamplingSettings = z.object({
  temperature: z
    .number()
    .min(0)
    .default(1)
    .describe("divides the logits before sampling; 0 always takes the likeliest token"),
  topK: z.int().min(0).default(0).describe("sample among the K likeliest tokens only; 0 is all"),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("sample among the fewest tokens that hold this share of probability; 1 is all"),
  minP: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("drop tokens less likely than this share of the likeliest; 0 is none"),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("divides positive logits of tokens seen already, multiplies negative ones; 1 is off"),
});
export type SamplingSettings = z.infer<typeof SamplingSettings>;

/** {@link SamplingSettings} as a caller gives them: what is left out has its default. */
export type SamplingOptions = z.input<typeof SamplingSettings>;

/**
 * Sampling as a caller gives it, checked and complete.
 *
 * @throws {SettingsError} naming what is wrong or unknown.
 */
export function samplingOf(given: SamplingOptions): SamplingSettings {
  return parseSettings("sampling", SamplingSettings, given);
}

/** No amounts for no tokens. */
const nothing: TokenAmounts = { ids: new Int32Array(0), amounts: new Float64Array(0) };

/** A choice as settings say; nothing is forbidden, biased or told beside the token. */
export function choiceOf(
  settings: SamplingSettings,
  seen: Int32Array | ReadonlySet<number>,
  reader: DrawReader,
): TokenChoice {
  return {
    ...settings,
    seen: settings.repetitionPenalty === 1 ? nothing.ids : Int32Array.from(seen),
    uniform: settings.temperature === 0 ? 0 : reader.uniform(),
    ...{ bias: nothing, lowered: nothing, allowed: null, given: null, alternatives: null },
  };
}

/** What scores a token that is there already, or the likeliest where none is, with so many of the likeliest of its place. */
export function givenChoice(token: number | null, alternatives: number): TokenChoice {
  return {
    ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seen: nothing.ids, uniform: 0 },
    ...{ bias: nothing, lowered: nothing, allowed: null, given: token, alternatives },
  };
}

/** Chooses the next token from logits, as {@link TokenChoice} says. */
export function sampleToken(
  logits: Float32Array,
  settings: SamplingSettings,
  seen: ReadonlySet<number>,
  reader: DrawReader,
): number {
  return chooseToken(logits, choiceOf(settings, seen, reader)).token;
}

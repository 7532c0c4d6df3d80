import { randomInt } from "node:crypto";
import { z } from "zod";
import type { SequenceSampling } from "../generate/sequence-request.ts";
import { wrongField } from "./api-error.ts";
import { modelField, optional, usually } from "./fields.ts";
import { requestLimits } from "./limits.ts";
import type { PromptText } from "./prompt-text.ts";

const stopText = z.string().max(requestLimits.stopCharacters);

/** Fields that say how a text is written, the same for completions and for chats. */
export const writingFields = {
  model: modelField,
  temperature: usually(z.number().min(0).max(100), 1).describe("divides the logits; 0 takes the likeliest token"),
  top_p: usually(z.number().min(0).max(1), 1).describe("the fewest tokens that hold this share of probability"),
  top_k: usually(z.int().min(-1), 0).describe("among so many of the likeliest tokens; 0 and -1 are all"),
  min_p: usually(z.number().min(0).max(1), 0).describe("no token less likely than this share of the likeliest"),
  repetition_penalty: usually(z.number().gt(0).max(100), 1).describe("makes tokens that came already less likely"),
  presence_penalty: usually(z.number().min(-2).max(2), 0).describe("taken from logits of tokens that were written"),
  frequency_penalty: usually(z.number().min(-2).max(2), 0).describe("taken from them each time that they were"),
  logit_bias: usually(
    z
      .record(z.string().regex(/^\d{1,9}$/, "must have token ids as keys"), z.number().min(-100).max(100))
      .refine((biases) => Object.keys(biases).length <= requestLimits.biases, {
        message: `must have at most ${requestLimits.biases} entries`,
      }),
    {},
  ).describe("added to the logits of tokens, by their ids"),
  seed: optional(z.int()).describe("the same seed and settings give the same answer"),
  stop: usually(
    z.union([stopText, z.array(stopText).max(requestLimits.stops)], {
      error: `must be a text or a list of at most ${requestLimits.stops} texts of at most ${requestLimits.stopCharacters} characters`,
    }),
    [],
  ).describe("texts that end an answer; they are not part of it"),
  n: usually(z.int().min(1).max(requestLimits.answers), 1).describe("answers to each prompt"),
  stream: usually(z.boolean(), false).describe("whether the answer comes piece by piece, as server-sent events"),
  stream_options: optional(z.object({ include_usage: usually(z.boolean(), false) })).describe(
    "include_usage: an event with the numbers of tokens at the end of a stream",
  ),
  ignore_eos: usually(z.boolean(), false).describe("whether a token that ends a text is drawn like any other"),
} as const;

const WritingFields = z.object(writingFields);
/** {@link writingFields}, read. */
export type WritingFields = z.output<typeof WritingFields>;

/**
 * How tokens are chosen.
 *
 * @throws {ApiError} 400 when a bias is for a token that the model does not have.
 */
export function samplingOf(fields: WritingFields, vocabularySize: number): SequenceSampling {
  const outside = Object.keys(fields.logit_bias).find((id) => Number(id) >= vocabularySize);
  if (outside !== undefined) {
    throw wrongField(
      `logit_bias.${outside}`,
      `logit_bias: token ${outside} is outside the vocabulary of ${vocabularySize}`,
    );
  }
  return {
    temperature: fields.temperature,
    topK: Math.max(0, fields.top_k),
    topP: Math.max(fields.top_p, leastShare),
    minP: fields.min_p,
    repetitionPenalty: fields.repetition_penalty,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    logitBias: fields.logit_bias,
  };
}

/** A share of probability that one token always has. */
const leastShare = 1e-12;

/** Texts that end an answer. */
export function stopsOf({ stop }: WritingFields): readonly string[] {
  return [stop].flat().filter((text) => text !== "");
}

/** The seed of a request; one that nobody knows before where it has none. */
export function seedOf({ seed }: WritingFields): number {
  if (seed === null) return randomInt(2 ** 47);
  return seed >= 0 ? seed : Number(BigInt.asUintN(53, BigInt(seed)));
}

/** Tokens that end an answer. */
export function endsOf({ ignore_eos: ignoresEnds }: WritingFields, text: PromptText): readonly number[] {
  return ignoresEnds ? [] : text.endTokens;
}

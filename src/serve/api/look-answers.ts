import { z } from "zod";
import { ModelKind } from "../model-kind.ts";

const numbers = z.array(z.number());

/** A token of a text that is looked at. */
export const ShownToken = z.object({
  id: z.int(),
  /** What it says in the midst of a text; U+FFFD for a part of a character. */
  text: z.string(),
});
export type ShownToken = z.output<typeof ShownToken>;

/** `GET /api/parameters` */
export const ParameterTable = z.object({
  model: z.string(),
  kind: ModelKind,
  /** Bytes of the engine's process. */
  process_bytes: z.int(),
  context: z.int(),
  vocabulary_size: z.int(),
  attention: z.object({ layers: z.int(), heads: z.int() }).nullable(),
  parameters: z.array(
    z.object({ name: z.string(), shape: z.array(z.int()), format: z.string(), bytes: z.int(), count: z.int() }),
  ),
});
export type ParameterTable = z.output<typeof ParameterTable>;

/** `GET /api/parameter` */
export const ParameterSummary = z.object({
  name: z.string(),
  mean: z.number(),
  standard_deviation: z.number(),
  norm: z.number(),
  min: z.number(),
  max: z.number(),
  zeros: z.int(),
  not_finite: z.int(),
  /** Intervals of one width from `from` to `to`. */
  histogram: z.object({ from: z.number(), to: z.number(), counts: z.array(z.int()) }),
});
export type ParameterSummary = z.output<typeof ParameterSummary>;

const Guess = z.object({ id: z.int(), logprob: z.number() });

/** `POST /api/lens` */
export const Lens = z.object({
  model: z.string(),
  tokens: z.array(ShownToken),
  /** From the first block to the last, which says what the model says. */
  layers: z.array(
    z.object({
      /** log p of the token that comes next, in nats; null behind the last. */
      next: z.array(z.number().nullable()),
      /** The likeliest tokens at each place, falling. */
      top: z.array(z.array(Guess)),
    }),
  ),
  /** Texts of the tokens in `top`, by id. */
  texts: z.record(z.string(), z.string()),
});
export type Lens = z.output<typeof Lens>;

/** `POST /api/attention` */
export const AttentionWeights = z.object({
  model: z.string(),
  tokens: z.array(ShownToken),
  /** Layers and heads of the model. */
  layers: z.int(),
  heads: z.int(),
  /** Of each layer that was asked for: weights by head, query and key. Each row adds up to 1. */
  maps: z.array(z.object({ layer: z.int(), weights: z.array(z.array(z.array(z.number()))) })),
});
export type AttentionWeights = z.output<typeof AttentionWeights>;

/** `POST /api/words` */
export const CutText = z.object({
  model: z.string(),
  tokenizer: z.string(),
  vocabulary_size: z.int(),
  characters: z.int(),
  bytes: z.int(),
  tokens: z.array(
    ShownToken.extend({
      /** As the vocabulary spells it. */
      token: z.string(),
      /** Null where it has none of its own. */
      bytes: z.array(z.int()).nullable(),
      is_special: z.boolean(),
      /** Of the word that it is a part of. */
      word: z.int(),
    }),
  ),
  words: z.array(
    z.object({
      text: z.string(),
      /** Pieces at first, and merges in their order; null where pieces are found in another way, or the word is very long. */
      merging: z
        .object({
          first: z.array(z.string()),
          steps: z.array(z.object({ at: z.int(), rank: z.int(), token: z.string() })),
        })
        .nullable(),
      /** Log-probabilities of the tokens, of a unigram model. */
      scores: numbers.nullable(),
    }),
  ),
});
export type CutText = z.output<typeof CutText>;

/** `POST /api/rewards` */
export const Rewards = z.object({
  model: z.string(),
  answers: z.array(
    z.object({
      /** At the end of the answer. */
      score: z.number(),
      /** Each token of the answer, and what the reward would be if it ended there. The last is the mark of its end. */
      tokens: z.array(ShownToken.extend({ score: z.number() })),
    }),
  ),
});
export type Rewards = z.output<typeof Rewards>;

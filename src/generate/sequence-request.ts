import type { ChosenToken } from "../backend/token-choice.ts";
import type { AnswerGrammar } from "./grammar/answer-grammar.ts";
import type { SamplingSettings } from "./sampling.ts";

/** {@link SamplingSettings}, and what servers offer beside them. */
export interface SequenceSampling extends SamplingSettings {
  /** Taken from the logit of each token that was generated already. 0 is off. */
  readonly presencePenalty?: number;
  /** Taken from the logit of a token each time that it was generated. 0 is off. */
  readonly frequencyPenalty?: number;
  /** Added to the logits of some tokens before all else, by their ids. */
  readonly logitBias?: Readonly<Record<number, number>>;
}

/** Says, token by token, which ones may come next. One belongs to one continuation. */
export interface TokenGuide {
  /** Works on what `allowed` gives until a time of `performance.now`; true once it is there. Without it, it always is. */
  prepare?(until: number): boolean;
  /**
   * A bit for each token, from the lowest bit of the first word on: 1 where it may come next. At least one is.
   *
   * @throws {StemmaError} where the continuation cannot go on, which ends its request.
   */
  allowed(): Int32Array;
  /** Is told of each token that was chosen, but for an end token. */
  accept(token: number): void;
}

/** What is asked of an engine: some continuations of one prompt. A plain record, which may come from another thread. */
export interface SequenceRequest {
  /** Of the asker's choosing; another one for each request under way. */
  readonly id: number;
  readonly prompt: readonly number[] | Int32Array;
  /** Continuations of the prompt, which is read once for all. */
  readonly copies: number;
  /** At most. Prompt and new tokens must fit a slot, of which the last token needs no place. With 0 the prompt alone is read. */
  readonly maxNewTokens: number;
  readonly sampling: SequenceSampling;
  /** Copy c draws from `new Random(seed).child(stream + c)`. */
  readonly seed: number;
  /** Default: 0. */
  readonly stream?: number;
  /** Words of that sequence that were drawn already, for a text that goes on. Default: 0. */
  readonly drawn?: number;
  /** Tokens that count as seen for the repetition penalty, beside the prompt's. Default: none. */
  readonly seen?: readonly number[];
  /** Tokens that end a continuation; empty lets it go on to its limit. */
  readonly endTokens: readonly number[];
  /** Alternatives that come with each token, with their log-probabilities; null for no log-probabilities at all. */
  readonly logprobs: number | null;
  /** Whether the prompt's tokens are scored, too, with as many alternatives; they are then all read, even if cached. */
  readonly promptLogprobs: boolean;
  /** What was read for one owner is never reused for another, and slots go round among owners. */
  readonly owner: string;
  /** What each continuation must match; whoever makes the engine says how that becomes a {@link TokenGuide}. */
  readonly grammar: AnswerGrammar | null;
}

/**
 * A token of a text, how likely the model found it (log p before any setting of the sampling, in nats; null where it was
 * not asked for), and the likeliest tokens of its place, falling.
 */
export type ScoredToken = ChosenToken;

/** What happened in a step. Those of one step come as one list. */
export type EngineEvent =
  /** Its prompt is being read; so many tokens of it were known already. */
  | { readonly type: "started"; readonly id: number; readonly cachedTokens: number }
  /** Only where prompt log-probabilities are asked for (the first token has none), or nothing is generated: this is then its end. */
  | { readonly type: "prompt"; readonly id: number; readonly tokens: readonly (ScoredToken | null)[] }
  /** `finish` is set on the last token of a copy; an end token itself is given, too. */
  | {
      readonly type: "token";
      readonly id: number;
      readonly copy: number;
      readonly token: ScoredToken;
      readonly finish: "stop" | "length" | null;
    }
  /** Nothing follows of any of its copies. */
  | { readonly type: "failed"; readonly id: number; readonly message: string };

/** A sequence in its slot. */
export interface BusySlot {
  readonly slot: number;
  /** Of the request. */
  readonly id: number;
  readonly copy: number;
  /** Tokens that have been read, of the prompt and of what follows it. */
  readonly tokens: number;
}

/** How busy an engine is. */
export interface EngineState {
  readonly slots: number;
  /** Who is where, in the order in which they came. */
  readonly busy: readonly BusySlot[];
  readonly slotsBusy: number;
  /** Continuations without a slot. */
  readonly waiting: number;
  /** Tokens that those may still need: of their prompts, and new ones. */
  readonly waitingTokens: number;
  /** Since the engine was made. */
  readonly promptTokens: number;
  /** Of those, the ones that were known already. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** Rows of the last pass. */
  readonly batchRows: number;
}

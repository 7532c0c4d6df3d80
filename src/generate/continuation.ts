import type { ChosenToken, TokenAmounts, TokenChoice } from "../backend/token-choice.ts";
import { StemmaError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { choiceOf, givenChoice } from "./sampling.ts";
import type { ScoredToken, SequenceRequest, TokenGuide } from "./sequence-request.ts";

/** What all copies of a request share. */
export interface RequestState {
  readonly request: SequenceRequest;
  readonly prompt: readonly number[];
  readonly ends: ReadonlySet<number>;
  readonly bias: TokenAmounts;
  /** Copies that have neither ended nor been cancelled. */
  readonly copies: Set<number>;
  /** Scores of the prompt's tokens so far, where they are asked for. */
  readonly scores: (ScoredToken | null)[];
  /** Whether the first copy has read the prompt: the others can go on from what it read. */
  isRead: boolean;
}

/** One continuation of one prompt, waiting or under way. */
export class Continuation {
  readonly of: RequestState;
  readonly copy: number;
  readonly guide: TokenGuide | null;
  /** Prompt and what was generated. */
  readonly tokens: number[];
  readonly #generated = new Map<number, number>();
  readonly #seen: Set<number>;
  readonly #reader: ReturnType<Random["reader"]>;
  slot: number | null = null;
  /** Why its guide cannot say what comes next; its request then ends with that. */
  misfit: string | null = null;

  constructor(of: RequestState, copy: number, guide: TokenGuide | null) {
    const { seed, stream = 0, drawn = 0, seen = [] } = of.request;
    this.of = of;
    this.copy = copy;
    this.guide = guide;
    this.tokens = [...of.prompt];
    this.#seen = new Set([...seen, ...of.prompt]);
    this.#reader = new Random(seed).child(stream + copy).reader();
    for (let i = 0; i < drawn; i++) this.#reader.word();
  }

  /** Tokens of its prompt, and new ones at most. */
  get needs(): number {
    return this.of.prompt.length + this.of.request.maxNewTokens;
  }

  /** Whether the prompt's tokens are scored as it reads them. */
  get scoresPrompt(): boolean {
    return this.copy === 0 && this.of.request.promptLogprobs;
  }

  /**
   * Whether it is known what may come next; otherwise that is worked on until a time of `performance.now`.
   */
  isGuided(until: number): boolean {
    try {
      return this.guide?.prepare?.(until) ?? true;
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      return true; // the same is said when the token is chosen
    }
  }

  /** How its next token is chosen; `allowed` is what has a name at all. */
  nextChoice(allowed: Int32Array | null): TokenChoice {
    const { sampling, logprobs } = this.of.request;
    const { presencePenalty = 0, frequencyPenalty = 0 } = sampling;
    const isLowered = presencePenalty !== 0 || frequencyPenalty !== 0;
    const generated = isLowered ? [...this.#generated] : [];
    return {
      ...choiceOf(sampling, this.#seen, this.#reader),
      bias: this.of.bias,
      lowered: {
        ids: Int32Array.from(generated, ([token]) => token),
        amounts: Float64Array.from(generated, ([, count]) => presencePenalty + frequencyPenalty * count),
      },
      allowed: this.#allowed(allowed),
      alternatives: logprobs,
    };
  }

  #allowed(named: Int32Array | null): Int32Array | null {
    if (!this.guide) return named;
    try {
      return both(this.guide.allowed(), named);
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      this.misfit = error.message; // others of the same pass go on
      return named;
    }
  }

  /** How a token of the prompt is scored. */
  scored(token: number): TokenChoice {
    return givenChoice(token, this.of.request.logprobs ?? 0);
  }

  /** Takes a token, and says whether it is the last, and why. */
  accept({ token }: ChosenToken): "stop" | "length" | null {
    this.tokens.push(token);
    this.#seen.add(token);
    this.#generated.set(token, (this.#generated.get(token) ?? 0) + 1);
    if (this.of.ends.has(token)) return "stop";
    this.guide?.accept(token);
    return this.tokens.length >= this.needs ? "length" : null;
  }
}

function both(a: Int32Array, b: Int32Array | null): Int32Array {
  return b ? a.map((word, i) => word & (b[i] ?? 0)) : a;
}

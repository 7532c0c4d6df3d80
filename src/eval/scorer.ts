import type { SamplingSettings } from "../generate/sampling.ts";

/** A text and how it may go on. */
export interface LikelihoodRequest {
  readonly context: string;
  /** Continuations of the same context; each is asked about by itself. */
  readonly continuations: readonly string[];
}

/** How likely a continuation is. */
export interface Likelihood {
  /** log p(continuation | context), in nats: the sum over its tokens. */
  readonly logProb: number;
  /** Whether each of its tokens is the likeliest one. */
  readonly isGreedy: boolean;
}

/** A text to be continued. */
export interface ContinuationRequest {
  readonly context: string;
  /** Texts that end it; they are not part of the answer. */
  readonly until: readonly string[];
  readonly maxNewTokens: number;
  readonly sampling: SamplingSettings;
}

/** Whoever can be asked how likely texts are: a model here, or a server. Answers come in the order of the requests. */
export interface Scorer {
  /** As results name it. */
  readonly name: string;
  /** Longest text in tokens; null while only the server knows. */
  readonly maxLength: number | null;
  readonly parameterCount: number | null;
  /** Requests so far whose beginning was cut off for being longer than the model reads. */
  readonly cutRequests: number;
  /** Texts so far whose first token has no probability, since a server sets none before it. */
  readonly unscoredStarts: number;
  likelihoods(requests: readonly LikelihoodRequest[], report: Report): Promise<Likelihood[][]>;
  /** log p of each text as a whole, in nats. */
  textLikelihoods(texts: readonly string[], report: Report): Promise<number[]>;
  continuations(requests: readonly ContinuationRequest[], report: Report): Promise<string[]>;
}

/** Told after each part how many requests are done. */
export type Report = (done: number) => void;

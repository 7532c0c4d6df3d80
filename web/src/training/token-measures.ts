import type { RunSample } from "../../../src/serve/api/run-answers.ts";

type Token = NonNullable<RunSample["tokens"]>[number];

/** A number that PPO has for each token of an answer. */
export interface TokenMeasure {
  readonly name: "kl" | "value" | "advantage";
  readonly title: string;
  /** What it says, in a sentence. */
  readonly about: string;
  readonly of: (token: Token) => number;
}

/** The numbers that PPO has for each token. */
export const tokenMeasures: readonly [TokenMeasure, TokenMeasure, TokenMeasure] = [
  {
    name: "advantage",
    title: "advantage",
    about:
      "How much better than expected it went from this token on: what the update makes likelier (+) or less likely (−).",
    of: ({ advantage }) => advantage,
  },
  {
    name: "kl",
    title: "KL",
    about:
      "log π − log π of the reference, in nats: how much likelier (+) the policy finds the token than the model it is held to.",
    of: ({ kl }) => kl,
  },
  {
    name: "value",
    title: "value",
    about: "What the critic expects the rest of the answer to bring, before this token.",
    of: ({ value }) => value,
  },
];

/** KL of a whole answer: the sum over its tokens. */
export function klOf({ tokens = [] }: RunSample): number {
  return tokens.reduce((sum, { kl }) => sum + kl, 0);
}

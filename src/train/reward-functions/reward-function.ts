import type { Answered } from "../answers.ts";

/** A finished answer as reward functions see it. */
export interface RewardedAnswer extends Answered {
  /** What was asked last, as text. */
  readonly question: string;
  /** The answer as text, without the token that ends it. */
  readonly completion: string;
  /** All columns of the prompt's row. */
  readonly row: Readonly<Record<string, unknown>>;
  /** Where the row is, for messages. */
  readonly where: string;
}

/** A judge of answers. */
export interface RewardFunction {
  /** What metrics call it. */
  readonly name: string;
  /** What its rewards are multiplied with before all are added up. */
  readonly weight: number;
  /** A column that the row of every prompt must have; null without. */
  readonly column: string | null;
  /**
   * One reward for each answer.
   *
   * @throws {unknown} the reason of `signal` when that is aborted.
   */
  rewards(answers: readonly RewardedAnswer[], signal?: AbortSignal): Promise<number[]>;
}

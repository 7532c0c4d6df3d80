import type { RewardedAnswer, RewardFunction } from "./reward-function.ts";

/** The column that holds the right answer, or several of them. */
const answerColumn = "answer";

/**
 * 1 where an answer is the one in the row's column `answer` (or one of a list there), else 0. White space around both
 * does not count.
 *
 * @param pattern - What of the answer is compared: the last match, its first group where it has one; null: all of it.
 */
export function exactReward(weight: number, pattern: RegExp | null): RewardFunction {
  return textReward("exact", weight, answerColumn, ({ completion, row }) => {
    const right = row[answerColumn];
    const given = pattern ? lastMatch(completion, pattern) : completion.trim();
    return (Array.isArray(right) ? right : [right]).some((one) => given === String(one).trim());
  });
}

/** 1 where an answer matches a regular expression, else 0. */
export function patternReward(weight: number, pattern: RegExp): RewardFunction {
  return textReward("pattern", weight, null, ({ completion }) => pattern.test(completion));
}

/** A reward of 1 for each answer that is right, else 0. */
export function textReward(
  name: string,
  weight: number,
  column: string | null,
  isRight: (answer: RewardedAnswer) => boolean,
): RewardFunction {
  return { name, weight, column, rewards: async (answers) => answers.map((answer) => (isRight(answer) ? 1 : 0)) };
}

function lastMatch(text: string, pattern: RegExp): string | null {
  const match = [...text.matchAll(new RegExp(pattern, `${pattern.flags.replace("g", "")}g`))].at(-1);
  return match ? (match[1] ?? match[0]).trim() : null;
}

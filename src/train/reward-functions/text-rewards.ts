import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { SettingsError } from "../../core/errors.ts";
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

/**
 * 1 where an answer is JSON that a schema describes, and nothing else but white space around it; else 0. Drafts 7 and,
 * where `$schema` says so, 2020-12.
 *
 * @param where - How messages name the schema.
 * @throws {SettingsError} when it is no schema.
 */
export function schemaReward(weight: number, schema: object, where: string): RewardFunction {
  const isValid = compiled(schema, where);
  return textReward("schema", weight, null, ({ completion }) => {
    const value = parsed(completion);
    return value !== undefined && isValid(value);
  });
}

function textReward(
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

function compiled(schema: object, where: string): (value: unknown) => boolean {
  const draft = "$schema" in schema ? String(schema.$schema) : "";
  try {
    const ajv = draft.includes("2020-12") ? new Ajv2020({ strict: false }) : new Ajv({ strict: false });
    formats.default(ajv);
    return ajv.compile(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`${where}: is no JSON schema (${reason}); correct it`, { cause: error });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

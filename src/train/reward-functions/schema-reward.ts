import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { SettingsError } from "../../core/errors.ts";
import type { RewardFunction } from "./reward-function.ts";
import { textReward } from "./text-rewards.ts";

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

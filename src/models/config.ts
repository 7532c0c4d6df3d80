import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import type { SchemaIssue } from "../core/schema-demand.ts";
import { schemaDemand, shortened, valueAt } from "../core/schema-demand.ts";
import type { ModelConfig } from "./family.ts";
import { refuseUnsupportedKeys } from "./telling-keys.ts";

/**
 * The keys of a config.json that a family reads, checked.
 *
 * @throws {CheckpointError} naming the first key that is missing, wrong, or set to something that is not supported, and
 * what it has to be.
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, config: ModelConfig): z.infer<Schema> {
  refuseUnsupportedKeys(config, schema instanceof z.ZodObject ? Object.keys(schema.shape) : []);
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue === undefined) throw new CheckpointError("config.json: does not fit the model; fetch it again");
  const value = valueAt(config, issue.path);
  const found = value === undefined ? "is missing" : `is ${shortened(JSON.stringify(value))}`;
  throw new CheckpointError(`config.json: ${issue.path.join(".")} ${found}; ${remedy(issue, value)}`);
}

/** A flag that has only one value here, or a choice of names, is what this library can do; all else is a damaged file. */
function remedy(issue: SchemaIssue, value: unknown): string {
  if (issue.code === "custom") {
    const isOther = issue.message.endsWith("not supported");
    return `${issue.message}; ${isOther ? "choose another model" : "correct the file or fetch it again"}`;
  }
  const demand = `it ${schemaDemand(issue)}`;
  const isOther = issue.code === "invalid_value" && typeof value === typeof issue.values[0];
  if (isOther) return `${demand}, other models of this type are not supported; choose another model`;
  return `${demand}; correct the file or fetch it again`;
}

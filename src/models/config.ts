import type { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import type { ModelConfig } from "./family.ts";

/**
 * The keys of a config.json that a family reads, checked.
 *
 * @throws {CheckpointError} naming the first key that is missing, wrong, or set to something that is not supported.
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, config: ModelConfig): z.infer<Schema> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue?.path.join(".") ?? "";
  const value = key in config ? `is ${JSON.stringify(config[key])}` : "is missing";
  throw new CheckpointError(`config.json: ${key} ${value}: ${issue?.message ?? "not a valid config"}`);
}

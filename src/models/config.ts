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
  const path = issue?.path ?? [];
  const found = valueAt(config, path);
  const value = found === undefined ? "is missing" : `is ${JSON.stringify(found)}`;
  throw new CheckpointError(`config.json: ${path.join(".")} ${value}: ${issue?.message ?? "not a valid config"}`);
}

/** What stands at the end of a path of keys; undefined where there is nothing. */
function valueAt(config: ModelConfig, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    config,
  );
}

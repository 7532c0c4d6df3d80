import type { z } from "zod";
import { CheckpointError } from "./errors.ts";
import { schemaDemand, shortened, valueAt } from "./schema-demand.ts";

/**
 * What a schema makes of a file's contents, or of a part of them.
 *
 * @param where - What messages call the file.
 * @param remedy - What to do about a misfit.
 * @throws {CheckpointError} naming the first place that does not fit, its value and what it has to be.
 */
export function parseContents<Schema extends z.ZodType>(
  where: string,
  schema: Schema,
  contents: unknown,
  remedy = "the file is damaged or of another format, fetch or write it again",
): z.output<Schema> {
  const result = schema.safeParse(contents);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  const place = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const demand = issue ? schemaDemand(issue) : "is not allowed";
  const text = JSON.stringify(valueAt(contents, path));
  const misfit = text === undefined ? `is missing; it ${demand}` : `${demand}, got ${shortened(text)}`;
  throw new CheckpointError(`${where}: ${place.replace(/^\./, "") || "the value"} ${misfit}; ${remedy}`);
}

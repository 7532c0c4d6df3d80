import type { z } from "zod";
import { SettingsError } from "./errors.ts";
import { suggestion } from "./nearest.ts";
import type { SchemaIssue } from "./schema-demand.ts";
import { schemaDemand, shownValue, valueAt } from "./schema-demand.ts";

/**
 * What a schema makes of settings that a caller gives in code: checked and completed with its defaults. A key that the
 * schema does not have is an error, since it would otherwise be a setting without effect.
 *
 * @param where - What messages call the whole: `sampling`, `pretrain`.
 * @param given - Perhaps complete already.
 * @throws {SettingsError} in one line that names each wrong setting, its value and what is allowed; of an unknown key
 * the nearest that there is.
 */
export function parseSettings<Schema extends z.ZodObject>(
  where: string,
  schema: Schema,
  given: z.input<Schema> | z.output<Schema>,
): z.output<Schema> {
  const result = schema.strict().safeParse(given);
  if (result.success) return result.data as z.output<Schema>;
  const problems = result.error.issues.map((issue) => describe(issue, given, Object.keys(schema.shape)));
  throw new SettingsError(`${where}: ${[...new Set(problems)].join("; also ")}`);
}

function describe(issue: SchemaIssue, given: unknown, known: readonly string[]): string {
  const key = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const otherwise = `; known are ${known.join(", ")}`;
    return issue.keys
      .map((name) => `has no setting ${name}${key === "" ? suggestion(name, known, otherwise) : ` in ${key}`}`)
      .join("; also ");
  }
  if (key === "") return issue.code === "custom" ? issue.message : schemaDemand(issue);
  if (issue.code === "custom") return `${key}: ${issue.message}`;
  const value = valueAt(given, issue.path);
  return value === undefined
    ? `${key} is missing; it ${schemaDemand(issue)}`
    : `${key} ${schemaDemand(issue)}, got ${shownValue(value)}`;
}

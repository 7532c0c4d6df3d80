import { z } from "zod";
import type { SchemaIssue } from "../core/schema-demand.ts";
import { schemaDemand, shortened, shownValue, valueAt } from "../core/schema-demand.ts";
import { ApiError, wrongField } from "./api-error.ts";
import type { Asked } from "./route.ts";

/** A field that may be left out; null is the same. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? null);
}

/** A field that has a value where it is left out, or null. */
export function usually<Schema extends z.ZodType>(schema: Schema, value: z.output<Schema>) {
  return schema.nullish().transform((given): z.output<Schema> => given ?? value);
}

/** The field of most requests that says which model is asked. */
export const modelField = optional(z.string()).describe("name of a model; the first one where it is left out");

/** The same of requests that only a reward model answers. */
export const rewardModelField = optional(z.string()).describe(
  "name of a reward model; the first model where it is left out",
);

/** A field that would change the answer if it were read, which it is not: anything but nothing is refused. */
export const notBuilt = z.unknown().optional();

/**
 * What a body holds, by a route's schema. Fields that it does not know are ignored.
 *
 * @throws {ApiError} 400 naming the first wrong field, its value and what it has to be.
 */
export function readFields<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw issue === undefined ? new ApiError(400, "the body is wrong") : describe(issue, body);
}

/**
 * A whole number from 0 on in the query, or null where it is left out.
 *
 * @param what - What it counts, for the message: `a step`.
 * @throws {ApiError} 400 when it is something else.
 */
export function queryNumber({ query }: Pick<Asked, "query">, name: string, what: string): number | null {
  const text = query(name);
  if (text === undefined) return null;
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw wrongField(name, `${name} must be ${what}, a whole number from 0 on, got ${shown(text)}`);
}

function describe(issue: SchemaIssue, body: unknown): ApiError {
  const param = paramOf(issue.path);
  const value = valueAt(body, issue.path);
  const demand = demandOf(issue);
  if (param === "") return new ApiError(400, `the body must be a JSON object, got ${shown(body)}`);
  if (value === undefined) return wrongField(param, `${param} is missing; it ${demand}`);
  return wrongField(param, `${param} ${demand}, got ${shown(value)}`);
}

function demandOf(issue: SchemaIssue): string {
  if (issue.code === "custom" || issue.message.startsWith("must ")) return issue.message; // the schema's own words
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? "must have other keys";
  return schemaDemand(issue);
}

function shown(value: unknown): string {
  return shortened(shownValue(value) ?? "nothing");
}

/** `messages[2].content` */
function paramOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

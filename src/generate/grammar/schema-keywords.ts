import { z } from "zod";
import { SettingsError } from "../../core/errors.ts";
import { schemaDemand, shortened, valueAt } from "../../core/schema-demand.ts";
import type { JsonRecord } from "../../files/json.ts";
import { isJsonObject } from "../../files/json.ts";

/** A schema within another, and where it stands. */
export interface LocatedSchema {
  /** An object of keywords; true allows anything, false nothing. */
  readonly schema: JsonRecord | boolean;
  /** A JSON pointer, for messages: `#/properties/name`. */
  readonly path: string;
}

const typeNames = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
/** What `type` may name. */
export type TypeName = (typeof typeNames)[number];

const Schema = z.custom<JsonRecord | boolean>(
  (value) => typeof value === "boolean" || isJsonObject(value),
  "must be a schema: an object, true or false",
);
const Schemas = z.array(Schema).min(1);
const Count = z.int().nonnegative();

/** The keywords that say what a value must be. */
const Keywords = z.object({
  $ref: z.string(),
  type: z.union([z.enum(typeNames), z.array(z.enum(typeNames)).min(1)], {
    error: `must be one of ${typeNames.join(", ")}, or a list of these`,
  }),
  enum: z.array(z.unknown()).min(1),
  const: z.unknown(),
  allOf: Schemas,
  anyOf: Schemas,
  oneOf: Schemas,
  properties: z.record(z.string(), Schema),
  required: z.array(z.string()),
  additionalProperties: Schema,
  items: z.union([Schema, z.array(Schema)], { error: "must be a schema, or a list of schemas" }),
  prefixItems: z.array(Schema),
  additionalItems: Schema,
  minItems: Count,
  maxItems: Count,
  minLength: Count,
  maxLength: Count,
  pattern: z.string(),
  format: z.string(),
  minimum: z.number(),
  maximum: z.number(),
  exclusiveMinimum: z.number(),
  exclusiveMaximum: z.number(),
});
const PartialKeywords = Keywords.partial();
/** {@link Keywords} of one schema. */
export type SchemaKeywords = z.output<typeof PartialKeywords>;

/** Keywords that say nothing about which values are valid, or only hold schemas that others refer to. */
const annotations = new Set(
  "$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly discriminator".split(
    " ",
  ),
);

/** Values of other keywords that demand nothing. */
const idle: Readonly<Record<string, unknown>> = {
  uniqueItems: false,
  nullable: false,
  minProperties: 0,
  unevaluatedProperties: true,
};

/**
 * The keywords of a schema.
 *
 * @throws {SettingsError} naming the place, and the keyword that is wrong or that is not supported: none is passed over.
 */
export function keywordsOf(schema: JsonRecord, path: string): SchemaKeywords {
  for (const [name, value] of Object.entries(schema)) {
    const isKnown = Object.hasOwn(Keywords.shape, name) || annotations.has(name) || name.startsWith("x-");
    if (isKnown || (Object.hasOwn(idle, name) && idle[name] === value)) continue;
    throw new SettingsError(
      `JSON schema: ${path}: the keyword ${JSON.stringify(name)} is not supported; leave it out, or say it in the prompt`,
    );
  }
  const result = PartialKeywords.safeParse(schema);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = [path, ...(issue?.path ?? []).map(String)].join("/");
  const demand = issue?.message.startsWith("must ") ? issue.message : issue ? schemaDemand(issue) : "is not allowed";
  const got = shortened(JSON.stringify(valueAt(schema, issue?.path ?? [])) ?? "nothing");
  throw new SettingsError(`JSON schema: ${where} ${demand}, got ${got}; correct it`);
}

/** A schema below another one. */
export function below({ path }: LocatedSchema, keys: string, schema: JsonRecord | boolean): LocatedSchema {
  return { schema, path: `${path}/${keys}` };
}

/**
 * What a `$ref` refers to.
 *
 * @throws {SettingsError} when it is not within the same schema, or there is nothing.
 */
export function referred(root: JsonRecord | boolean, reference: string, path: string): LocatedSchema {
  const at = `JSON schema: ${path}/$ref: ${JSON.stringify(shortened(reference))}`;
  if (reference !== "#" && !reference.startsWith("#/")) {
    throw new SettingsError(`${at} is not within the schema itself; put it under $defs and refer to #/$defs/…`);
  }
  let target: unknown = root;
  for (const part of reference.split("/").slice(1)) {
    const name = decoded(part, at).replaceAll("~1", "/").replaceAll("~0", "~");
    const isIn = typeof target === "object" && target !== null && Object.hasOwn(target, name);
    target = isIn ? (target as JsonRecord)[name] : undefined;
  }
  if (typeof target === "boolean" || isJsonObject(target)) return { schema: target, path: reference };
  throw new SettingsError(`${at} refers to nothing; correct it, or add what it names`);
}

function decoded(part: string, at: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new SettingsError(`${at} is not a valid pointer; write % as %25`, { cause: error });
  }
}

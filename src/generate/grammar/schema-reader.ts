import { SettingsError } from "../../core/errors.ts";
import type { Json, JsonRecord } from "../../files/json.ts";
import { areDisjoint } from "./form-overlap.ts";
import { allowsValue } from "./form-values.ts";
import { patternNetwork } from "./pattern.ts";
import type { ArrayForm, Conjunction, Form, ObjectForm, StringForm } from "./schema-forms.ts";
import { anyForms, intersect } from "./schema-forms.ts";
import type { LocatedSchema, SchemaKeywords, TypeName } from "./schema-keywords.ts";
import { below, keywordsOf, referred } from "./schema-keywords.ts";
import { stringFormats } from "./string-formats.ts";

/** Forms of one place of a schema, at most: what anyOf within allOf multiplies. */
const mostForms = 500;
/** Pairs of forms that are compared for one place, at most. */
const mostPairs = 20_000;
/** How far alternatives of oneOf are followed to find a property in which they differ. */
const deepestDifference = 3;

/** Says which values a schema allows, as forms of which each has one type. */
export class SchemaReader {
  readonly root: LocatedSchema;
  readonly #keywords = new Map<JsonRecord, SchemaKeywords>();
  /** Schemas that are being read: one that comes again before any value begins would never end. */
  #open = new Set<JsonRecord>();
  #depth = 0;
  /** Forms of schemas that were read, as others may refer to them again and again. */
  readonly #known = {
    inferred: new Map<JsonRecord, readonly Form[]>(),
    plain: new Map<JsonRecord, readonly Form[]>(),
  };

  constructor(schema: JsonRecord | boolean) {
    this.root = { schema, path: "#" };
  }

  /**
   * The forms that all of these schemas allow; none where they exclude each other.
   *
   * @throws {SettingsError} naming place and keyword, when one is wrong or not supported, or a `$ref` refers to itself.
   */
  forms(conjunction: Conjunction): readonly Form[] {
    let forms = anyForms;
    for (const located of conjunction) forms = this.#both(forms, this.#formsOf(located, true), located);
    return forms;
  }

  /** {@link forms} of what lies within a value, whose schemas may be those that are being read. */
  #formsWithin(conjunction: Conjunction): readonly Form[] {
    const open = this.#open;
    this.#open = new Set();
    try {
      return this.forms(conjunction);
    } finally {
      this.#open = open;
    }
  }

  #formsOf(located: LocatedSchema, infersType: boolean): readonly Form[] {
    const { schema, path } = located;
    if (typeof schema === "boolean") return schema ? anyForms : [];
    if (this.#open.has(schema)) {
      throw new SettingsError(
        `JSON schema: ${path} refers to itself without end; let it do so within a property or items`,
      );
    }
    const memory = this.#known[infersType ? "inferred" : "plain"];
    const known = memory.get(schema);
    if (known) return known;
    this.#open.add(schema);
    try {
      const forms = this.#formsOfKeywords(this.#keywordsOf(schema, path), located, infersType);
      memory.set(schema, forms);
      return forms;
    } finally {
      this.#open.delete(schema);
    }
  }

  #formsOfKeywords(keywords: SchemaKeywords, located: LocatedSchema, infersType: boolean): readonly Form[] {
    const { $ref, allOf = [], anyOf, oneOf } = keywords;
    let forms = this.#typed(keywords, located, infersType);
    const demand = (others: readonly Form[]): void => {
      forms = this.#both(forms, others, located);
    };
    if ($ref !== undefined) demand(this.#formsOf(referred(this.root.schema, $ref, located.path), infersType));
    for (const [i, schema] of allOf.entries()) demand(this.#formsOf(below(located, `allOf/${i}`, schema), infersType));
    if (anyOf) demand(anyOf.flatMap((schema, i) => this.#formsOf(below(located, `anyOf/${i}`, schema), infersType)));
    if (oneOf) demand(this.#formsOfOne(oneOf, located));
    return forms;
  }

  /** The forms of `oneOf`, whose alternatives must exclude each other: one that two allow is not valid. */
  #formsOfOne(schemas: readonly (JsonRecord | boolean)[], located: LocatedSchema): readonly Form[] {
    const options = schemas.map((schema, i) => this.#formsOf(below(located, `oneOf/${i}`, schema), false));
    for (const [i, own] of options.entries()) {
      const other = options.findIndex((forms, j) => j > i && !this.#exclude(own, forms));
      if (other < 0) continue;
      throw new SettingsError(
        `JSON schema: ${located.path}/oneOf: alternatives ${i} and ${other} may both allow a value, so that it is not valid; ` +
          "write anyOf, or give each a required property with another const",
      );
    }
    return options.flat();
  }

  #exclude(a: readonly Form[], b: readonly Form[]): boolean {
    if (this.#depth >= deepestDifference) return false;
    this.#depth += 1;
    try {
      const exclude = (some: Conjunction, others: Conjunction): boolean =>
        this.#exclude(this.#formsWithin(some), this.#formsWithin(others));
      return a.every((one) => b.every((other) => areDisjoint(one, other, exclude, this.#allows)));
    } finally {
      this.#depth -= 1;
    }
  }

  readonly #allows = (value: Json, form: Form): boolean => allowsValue(value, form, (all) => this.#formsWithin(all));

  /** What any of `a` and any of `b` both allow. */
  #both(a: readonly Form[], b: readonly Form[], { path }: LocatedSchema): readonly Form[] {
    if (a === anyForms) return b;
    if (b === anyForms) return a;
    const isMany = a.length * b.length > mostPairs;
    const both = isMany ? [] : a.flatMap((one) => b.flatMap((other) => this.#common(one, other)));
    if (isMany || both.length > mostForms) {
      throw new SettingsError(
        `JSON schema: ${path} has more than ${mostForms} alternatives once anyOf and allOf are multiplied; use fewer`,
      );
    }
    return both;
  }

  #common(a: Form, b: Form): Form[] {
    if (a.kind === "constant") return this.#allows(a.value, b) ? [a] : [];
    if (b.kind === "constant") return this.#allows(b.value, a) ? [b] : [];
    const both = intersect(a, b);
    return both ? [both] : [];
  }

  #keywordsOf(schema: JsonRecord, path: string): SchemaKeywords {
    const known = this.#keywords.get(schema);
    if (known) return known;
    const keywords = keywordsOf(schema, path);
    this.#keywords.set(schema, keywords);
    return keywords;
  }

  /** The forms that all keywords but those of other schemas allow. */
  #typed(keywords: SchemaKeywords, located: LocatedSchema, infersType: boolean): readonly Form[] {
    const { type = infersType ? inferredType(keywords) : null } = keywords;
    const types = type === null ? null : new Set(Array.isArray(type) ? type : [type]);
    const isAllowed = ({ kind }: Form): boolean =>
      types === null || types.has(kind as TypeName) || (kind === "number" && types.has("integer"));
    const isFree = types === null && !hasDemands(keywords);
    const typed = isFree
      ? anyForms
      : anyForms.filter(isAllowed).map((form) => restricted(form, keywords, types, located));
    const constants = [...(keywords.enum ?? []), ...("const" in keywords ? [keywords.const] : [])] as Json[];
    if (constants.length === 0) return typed;
    const both = keywords.enum && "const" in keywords;
    const valid = constants.filter((value) => typed.some((form) => this.#allows(value, form)));
    const kept = both ? valid.filter((value, i) => valid.some((other, j) => j !== i && isSame(value, other))) : valid;
    return kept.map((value) => ({ kind: "constant", value }));
  }
}

const objectKeywords = ["properties", "required", "additionalProperties"] as const;
const arrayKeywords = ["items", "prefixItems", "minItems", "maxItems"] as const;
const scalarKeywords = [
  ...(["minLength", "maxLength", "pattern", "format", "minimum", "maximum"] as const),
  ...(["exclusiveMinimum", "exclusiveMaximum"] as const),
];

/** The type that keywords are for, where no type is given: people leave out what seems plain. */
function inferredType(keywords: SchemaKeywords): TypeName | null {
  const has = (names: readonly (keyof SchemaKeywords)[]): boolean => names.some((name) => keywords[name] !== undefined);
  if (has(scalarKeywords) || keywords.enum !== undefined || "const" in keywords) return null;
  if (has(objectKeywords)) return has(arrayKeywords) ? null : "object";
  return has(arrayKeywords) ? "array" : null;
}

function hasDemands(keywords: SchemaKeywords): boolean {
  const names = [...objectKeywords, ...arrayKeywords, ...scalarKeywords, "additionalItems" as const];
  return names.some((name) => keywords[name] !== undefined);
}

function restricted(
  form: Form,
  keywords: SchemaKeywords,
  types: ReadonlySet<string> | null,
  located: LocatedSchema,
): Form {
  switch (form.kind) {
    case "number":
      return numberForm(keywords, types !== null && !types.has("number"));
    case "string":
      return stringForm(keywords, located);
    case "array":
      return arrayForm(keywords, located);
    case "object":
      return objectForm(keywords, located);
    default:
      return form;
  }
}

function numberForm(keywords: SchemaKeywords, isInteger: boolean): Form {
  const { minimum = null, maximum = null, exclusiveMinimum = null, exclusiveMaximum = null } = keywords;
  const isLeastExcluded = exclusiveMinimum !== null && exclusiveMinimum >= (minimum ?? exclusiveMinimum);
  const isMostExcluded = exclusiveMaximum !== null && exclusiveMaximum <= (maximum ?? exclusiveMaximum);
  const least = isLeastExcluded ? exclusiveMinimum : minimum;
  const most = isMostExcluded ? exclusiveMaximum : maximum;
  return { kind: "number", isInteger, least, most, isLeastExcluded, isMostExcluded };
}

function stringForm(keywords: SchemaKeywords, { path }: LocatedSchema): StringForm {
  const { minLength = 0, maxLength = null, pattern, format } = keywords;
  const ofFormat = format === undefined ? undefined : stringFormats[format];
  if (format !== undefined && ofFormat === undefined) {
    const known = Object.keys(stringFormats).join(", ");
    throw new SettingsError(
      `JSON schema: ${path}/format: ${JSON.stringify(format)} is not supported; known are ${known}, or use a pattern`,
    );
  }
  if (pattern !== undefined) checkPattern(pattern, path);
  const patterns = [pattern, ofFormat].filter((one) => one !== undefined);
  return { kind: "string", least: minLength, most: maxLength, patterns };
}

function checkPattern(pattern: string, path: string): void {
  try {
    patternNetwork(pattern);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    throw new SettingsError(`JSON schema: ${path}/pattern: ${JSON.stringify(pattern)} ${error.message}`, {
      cause: error,
    });
  }
}

function arrayForm(keywords: SchemaKeywords, located: LocatedSchema): ArrayForm {
  const { items, prefixItems, additionalItems, minItems = 0, maxItems = null } = keywords;
  const isList = Array.isArray(items);
  const prefix = prefixItems ?? (isList ? items : []);
  const keys = prefixItems ? "prefixItems" : "items";
  const rest = isList ? additionalItems : items;
  return {
    kind: "array",
    prefix: prefix.map((schema, i) => [below(located, `${keys}/${i}`, schema)]),
    items:
      rest === undefined ? [] : [below(located, isList ? "additionalItems" : "items", rest as JsonRecord | boolean)],
    least: minItems,
    most: maxItems,
  };
}

function objectForm(keywords: SchemaKeywords, located: LocatedSchema): ObjectForm {
  const { properties = {}, required = [], additionalProperties } = keywords;
  const entries = Object.entries(properties).map(([name, schema]): [string, Conjunction] => [
    name,
    [below(located, `properties/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, schema)],
  ]);
  const additional =
    additionalProperties === undefined ? [] : [below(located, "additionalProperties", additionalProperties)];
  return { kind: "object", properties: new Map(entries), required: new Set(required), additional };
}

function isSame(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

import type { Json } from "../../files/json.ts";
import type { NumberBounds } from "./json-number.ts";
import type { LocatedSchema } from "./schema-keywords.ts";

/** Schemas that must all hold. */
export type Conjunction = readonly LocatedSchema[];

/** Values of one type, or a single value: what a schema allows is a choice of these. */
export type Form =
  | { readonly kind: "constant"; readonly value: Json }
  | { readonly kind: "null" }
  | { readonly kind: "boolean" }
  | NumberForm
  | StringForm
  | ArrayForm
  | ObjectForm;

/** Numbers between bounds. */
export type NumberForm = { readonly kind: "number" } & NumberBounds;

/** Strings of some length, of which a regular expression may demand more. */
export interface StringForm {
  readonly kind: "string";
  readonly least: number;
  readonly most: number | null;
  readonly patterns: readonly string[];
}

/** Lists. */
export interface ArrayForm {
  readonly kind: "array";
  /** Of the first entries, one by one. */
  readonly prefix: readonly Conjunction[];
  /** Of all others. */
  readonly items: Conjunction;
  readonly least: number;
  readonly most: number | null;
}

/** Objects, whose properties are written in this order. */
export interface ObjectForm {
  readonly kind: "object";
  readonly properties: ReadonlyMap<string, Conjunction>;
  readonly required: ReadonlySet<string>;
  /** Of properties with other names. */
  readonly additional: Conjunction;
}

/** Forms that together are all values. */
export const anyForms: readonly Form[] = [
  { kind: "null" },
  { kind: "boolean" },
  {
    ...{ kind: "number", isInteger: false, least: null, most: null },
    ...{ isLeastExcluded: false, isMostExcluded: false },
  },
  { kind: "string", least: 0, most: null, patterns: [] },
  { kind: "array", prefix: [], items: [], least: 0, most: null },
  { kind: "object", properties: new Map(), required: new Set(), additional: [] },
];

/** Both lists, each schema once: what is referred to again and again would double each time. */
function joined(a: Conjunction, b: Conjunction): Conjunction {
  return [...new Map([...a, ...b].map((located) => [located.schema, located])).values()];
}

/** What both of two forms allow, neither of them a constant; null where they are of different types. */
export function intersect(a: Form, b: Form): Form | null {
  if (a.kind === "number" && b.kind === "number") return intersectNumbers(a, b);
  if (a.kind === "string" && b.kind === "string") {
    const patterns = [...new Set([...a.patterns, ...b.patterns])];
    return { kind: "string", least: Math.max(a.least, b.least), most: smaller(a.most, b.most), patterns };
  }
  if (a.kind === "array" && b.kind === "array") {
    const length = Math.max(a.prefix.length, b.prefix.length);
    const entry = (form: ArrayForm, i: number): Conjunction => form.prefix[i] ?? form.items;
    return {
      kind: "array",
      prefix: Array.from({ length }, (_, i) => joined(entry(a, i), entry(b, i))),
      items: joined(a.items, b.items),
      least: Math.max(a.least, b.least),
      most: smaller(a.most, b.most),
    };
  }
  if (a.kind === "object" && b.kind === "object") {
    const names = new Set([...a.properties.keys(), ...b.properties.keys()]);
    const property = (form: ObjectForm, name: string): Conjunction => form.properties.get(name) ?? form.additional;
    return {
      kind: "object",
      properties: new Map([...names].map((name) => [name, joined(property(a, name), property(b, name))])),
      required: new Set([...a.required, ...b.required]),
      additional: joined(a.additional, b.additional),
    };
  }
  return a.kind === b.kind ? a : null;
}

function intersectNumbers(a: NumberBounds, b: NumberBounds): Form {
  const low = (a.least ?? Number.NEGATIVE_INFINITY) >= (b.least ?? Number.NEGATIVE_INFINITY) ? a : b;
  const high = (a.most ?? Number.POSITIVE_INFINITY) <= (b.most ?? Number.POSITIVE_INFINITY) ? a : b;
  return {
    kind: "number",
    isInteger: a.isInteger || b.isInteger,
    least: low.least,
    most: high.most,
    isLeastExcluded: low.isLeastExcluded || (a.least === b.least && (a.isLeastExcluded || b.isLeastExcluded)),
    isMostExcluded: high.isMostExcluded || (a.most === b.most && (a.isMostExcluded || b.isMostExcluded)),
  };
}

function smaller(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

import type { Json } from "../../files/json.ts";
import type { NumberBounds } from "./json-number.ts";
import type { Conjunction, Form, ObjectForm } from "./schema-forms.ts";

/**
 * Whether it is certain that no value fits both of two forms: they are of different types or ranges, or a property that
 * one requires differs.
 *
 * @param exclude - The same question for what lies within a value.
 * @param allows - Whether a form allows a value.
 */
export function areDisjoint(
  a: Form,
  b: Form,
  exclude: (a: Conjunction, b: Conjunction) => boolean,
  allows: (value: Json, form: Form) => boolean,
): boolean {
  if (a.kind === "constant") return !allows(a.value, b);
  if (b.kind === "constant") return !allows(b.value, a);
  if (a.kind === "number" && b.kind === "number") return isBelow(a, b) || isBelow(b, a);
  if ((a.kind === "string" && b.kind === "string") || (a.kind === "array" && b.kind === "array")) {
    return (a.most ?? b.least) < b.least || (b.most ?? a.least) < a.least;
  }
  if (a.kind === "object" && b.kind === "object") return haveOtherProperty(a, b, exclude);
  return a.kind !== b.kind;
}

function isBelow(a: NumberBounds, b: NumberBounds): boolean {
  if (a.most === null || b.least === null) return false;
  return a.most < b.least || (a.most === b.least && (a.isMostExcluded || b.isLeastExcluded));
}

function haveOtherProperty(
  a: ObjectForm,
  b: ObjectForm,
  exclude: (a: Conjunction, b: Conjunction) => boolean,
): boolean {
  const property = (form: ObjectForm, name: string): Conjunction => form.properties.get(name) ?? form.additional;
  return [...new Set([...a.required, ...b.required])].some((name) => exclude(property(a, name), property(b, name)));
}

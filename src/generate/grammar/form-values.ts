import type { Json } from "../../files/json.ts";
import { isJsonObject, sortKeys } from "../../files/json.ts";
import type { NumberBounds } from "./json-number.ts";
import type { Conjunction, Form, ObjectForm, StringForm } from "./schema-forms.ts";

/** Whether a form allows a value; `formsOf` gives the forms of what lies within it. */
export function allowsValue(value: Json, form: Form, formsOf: (all: Conjunction) => readonly Form[]): boolean {
  const fits = (one: Json, all: Conjunction): boolean => formsOf(all).some((inner) => allowsValue(one, inner, formsOf));
  switch (form.kind) {
    case "constant":
      return JSON.stringify(sortKeys(value)) === JSON.stringify(sortKeys(form.value));
    case "null":
      return value === null;
    case "boolean":
      return typeof value === "boolean";
    case "number":
      return typeof value === "number" && isWithin(value, form);
    case "string":
      return typeof value === "string" && isLike(value, form);
    case "array":
      if (!Array.isArray(value) || value.length < form.least || value.length > (form.most ?? value.length))
        return false;
      return value.every((one: Json, i) => fits(one, form.prefix[i] ?? form.items));
    case "object":
      return isJsonObject(value) && hasProperties(value, form, fits);
  }
}

function isWithin(value: number, { isInteger, least, most, isLeastExcluded, isMostExcluded }: NumberBounds): boolean {
  if (isInteger && !Number.isInteger(value)) return false;
  if (least !== null && (value < least || (isLeastExcluded && value === least))) return false;
  return most === null || value < most || (!isMostExcluded && value === most);
}

function isLike(value: string, { least, most, patterns }: StringForm): boolean {
  const length = [...value].length;
  if (length < least || length > (most ?? length)) return false;
  return patterns.every((pattern) => new RegExp(pattern, "u").test(value));
}

function hasProperties(
  value: Readonly<Record<string, Json>>,
  { properties, required, additional }: ObjectForm,
  fits: (one: Json, all: Conjunction) => boolean,
): boolean {
  if ([...required].some((name) => !Object.hasOwn(value, name))) return false;
  return Object.entries(value).every(([name, one]) => fits(one, properties.get(name) ?? additional));
}

import { z } from "zod";

declare module "zod" {
  interface GlobalMeta {
    /** Other names under which the setting is accepted, in any spelling: `max_steps` for `steps`. */
    aliases?: readonly string[];
    /** What the value is called in the help: `<path>`. */
    placeholder?: string;
    /** Heading of the help under which the flag stands. */
    group?: string;
    /** Whether a comma separates entries of a list; true when left out. */
    commas?: boolean;
  }
}

/** The part of a JSON Schema property that flags are made from. */
interface Property {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Property[];
  readonly oneOf?: readonly Property[];
  readonly items?: Property;
  readonly default?: unknown;
  readonly description?: string;
  readonly aliases?: readonly string[];
  readonly placeholder?: string;
  readonly group?: string;
  readonly commas?: boolean;
  readonly positional?: boolean;
}

/** One setting as it is typed and explained. */
export interface Flag {
  /** Key of the schema. */
  readonly key: string;
  /** Without dashes, in kebab-case. */
  readonly name: string;
  /** Every other spelling that is accepted. */
  readonly otherNames: readonly string[];
  readonly isRequired: boolean;
  /** Whether it may be given without a value, meaning yes. */
  readonly isSwitch: boolean;
  readonly isList: boolean;
  /** Given as a word of its own after the command, without its name. */
  readonly isPositional: boolean;
  /** Its values are paths, or may be. */
  readonly isPath: boolean;
  /** In the help, with brackets; empty for a pure yes or no. */
  readonly placeholder: string;
  readonly group: string;
  readonly description: string;
  /** Values that it chooses among. */
  readonly choices: readonly string[];
  readonly defaultValue: unknown;
  /** The value that a text stands for; the text itself when it fits nothing, for validation to complain about. */
  readonly parse: (text: string) => unknown;
}

/** The flags of a settings schema, in its order. */
export function flagsOf(schema: z.ZodObject): readonly Flag[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const required = new Set(json.required ?? []);
  return Object.entries((json.properties ?? {}) as Record<string, Property>).map(([key, property]) => {
    const kinds = alternatives(property);
    const name = kebabCase(key);
    const spellings = [name, ...(property.aliases ?? []).map(kebabCase)];
    const all = new Set([...spellings, ...spellings.map((spelling) => spelling.replaceAll("-", "_"))]);
    all.delete(name);
    const list = kinds.find((kind) => kind.type === "array");
    const placeholder = placeholderOf(property, kinds, list);
    const choices = (list?.items === undefined ? kinds : alternatives(list.items)).flatMap(choicesOf);
    return {
      key,
      name,
      otherNames: [...all],
      isRequired: required.has(key),
      isSwitch: kinds.some((kind) => kind.type === "boolean"),
      isList: list !== undefined,
      isPositional: property.positional === true,
      isPath: /\b(folder|file|path|checkpoint|run)\b/.test(property.placeholder ?? ""),
      placeholder,
      choices,
      group: property.group ?? "Flags",
      description: property.description ?? "",
      defaultValue: property.default,
      parse: list === undefined ? (text) => parseValue(text, kinds) : (text) => parseList(text, property, list),
    };
  });
}

/** A setting as it is asked for: `--steps <n>`, or `<run>` for a word after the command. */
export function askFor(flag: Flag): string {
  if (flag.isPositional) return flag.placeholder;
  return flag.placeholder === "" ? `--${flag.name}` : `--${flag.name} ${flag.placeholder}`;
}

/** A setting as messages name it: `--steps`, or `<run>` for a word after the command. */
export function nameOf(flag: Flag): string {
  return flag.isPositional ? flag.placeholder : `--${flag.name}`;
}

/** `batchSize`, `batch_size` and `batch-size` are `batch-size`. */
export function kebabCase(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-")
    .toLowerCase();
}

/** The simple kinds of value among which a setting chooses. */
function alternatives(property: Property): readonly Property[] {
  const choices = property.anyOf ?? property.oneOf;
  if (choices !== undefined) return choices.flatMap(alternatives);
  if (Array.isArray(property.type)) return property.type.map((type: string) => ({ ...property, type }));
  return [property];
}

function placeholderOf(property: Property, kinds: readonly Property[], list: Property | undefined): string {
  const valued = kinds.filter((kind) => kind.type !== "boolean" && kind.type !== "null");
  if (valued.length === 0) return "";
  const inner = list?.items === undefined ? valued : alternatives(list.items);
  const name = property.placeholder ?? [...new Set(inner.map(kindName))].join("|");
  const dots = list === undefined ? "" : "...";
  return kinds.length > valued.length && kinds.some((kind) => kind.type === "boolean")
    ? `[${name}${dots}]`
    : `<${name}${dots}>`;
}

function choicesOf(kind: Property): string[] {
  return (kind.enum ?? (kind.const === undefined ? [] : [kind.const])).map(String);
}

function kindName(kind: Property): string {
  const choices = choicesOf(kind);
  if (choices.length > 0 && choices.join("|").length <= 30) return choices.join("|");
  if (choices.length > 0) return "name";
  if (kind.type === "integer") return "n";
  if (kind.type === "number") return "number";
  return kind.type === "object" ? "json" : "text";
}

function parseList(text: string, property: Property, list: Property): unknown {
  const kinds = alternatives(list.items ?? {});
  const parts = property.commas === false ? [text] : text.split(",").map((part) => part.trim());
  return parts.map((part) => parseValue(part, kinds));
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const yes = new Set(["true", "yes", "on"]);
const no = new Set(["false", "no", "off"]);

/** Whether a text is a number that is larger than any that can be counted with, such as 1e3000. */
export function isTooLarge(text: string): boolean {
  return number.test(text) && !Number.isFinite(Number(text));
}

/** The first kind that can read the text decides; a string is always the last resort. */
function parseValue(text: string, kinds: readonly Property[]): unknown {
  for (const kind of kinds) {
    const choice = (kind.enum ?? [kind.const]).find((value) => value !== undefined && String(value) === text);
    if (choice !== undefined) return choice;
  }
  const has = (...types: readonly string[]): boolean => kinds.some((kind) => types.includes(String(kind.type)));
  const word = text.toLowerCase();
  if (has("boolean") && yes.has(word)) return true;
  if (has("boolean") && no.has(word)) return false;
  if (has("null") && (word === "none" || word === "null")) return null;
  if (has("number", "integer") && number.test(text) && !isTooLarge(text)) return Number(text);
  if (has("object")) return parseJson(text);
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

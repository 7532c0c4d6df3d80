import { SettingsError } from "../../core/errors.ts";
import type { Json, JsonRecord } from "../../files/json.ts";
import { isJsonObject } from "../../files/json.ts";
import { anyString, anyStringBut, ofLength } from "./character-network.ts";
import { addNumber } from "./json-number.ts";
import { JsonStrings } from "./json-string.ts";
import type { Network } from "./network.ts";
import { patternNetwork } from "./pattern.ts";
import type { ArrayForm, Conjunction, Form, NumberForm, ObjectForm, StringForm } from "./schema-forms.ts";
import { SchemaReader } from "./schema-reader.ts";

/** Longer strings are valid, but are not written: no context holds them. */
const longestString = 16_000;
/** Blanks behind a line end, at most: without a bound, a model that has nothing to say writes them for ever. */
const mostIndentation = 32;

/** Puts the JSON that schemas allow into a network. Properties are written in the order of the schema. */
export class JsonNetwork {
  readonly #network: Network;
  readonly #strings: JsonStrings;
  readonly #scalars = new Map<string, number>();
  #blank: number | null = null;

  constructor(network: Network) {
    this.#network = network;
    this.#strings = new JsonStrings(network);
  }

  /**
   * Edges for a value that a schema allows.
   *
   * @throws {SettingsError} naming place and keyword of the schema, when one is wrong or not supported.
   */
  value(schema: unknown, from: number, to: number): void {
    if (typeof schema !== "boolean" && !isJsonObject(schema)) {
      throw new SettingsError(
        `JSON schema: must be an object, true or false, got ${JSON.stringify(schema)}; correct it`,
      );
    }
    const rules = new SchemaRules(schema, this.#network, this);
    this.#network.call(from, rules.ruleOf([rules.reader.root]), to);
    rules.build();
  }

  /** White space, or none → the node behind it. */
  blank(from: number): number {
    const to = this.#network.node();
    this.#network.free(from, to);
    this.#network.call(from, this.#blankRule(), to);
    return to;
  }

  /** The rule for strings or numbers of a form: all places that have it share one, and what is found out about it. */
  scalarRule(form: StringForm | NumberForm): number {
    const key = JSON.stringify(form);
    const known = this.#scalars.get(key);
    if (known !== undefined) return known;
    const { index, start, end } = this.#network.rule();
    this.#scalars.set(key, index);
    if (form.kind === "number") addNumber(this.#network, form, start, end);
    else this.#string(form, start, end);
    return index;
  }

  #string({ least, most, patterns }: StringForm, from: number, to: number): void {
    const [pattern, ...others] = patterns;
    if (others.length > 0) {
      throw new SettingsError(
        `JSON schema: one string cannot be held to both ${patterns.join(" and ")}; join them to one pattern`,
      );
    }
    if (least > longestString) {
      throw new SettingsError(`JSON schema: minLength ${least} is more than the ${longestString} that can be written`);
    }
    const strings = pattern === undefined ? anyString() : patternNetwork(pattern);
    const longest = most === null ? null : Math.min(most, longestString);
    this.#strings.quoted(ofLength(strings, least, longest), from, to, pattern === undefined);
  }

  /** The name of a property, which is none of these. */
  otherName(names: readonly string[], from: number, to: number): void {
    this.#strings.quoted(anyStringBut(names), from, to, names.length === 0);
  }

  /** A value as it is. */
  constant(value: Json, from: number): number {
    const network = this.#network;
    if (typeof value !== "object" || value === null) return network.text(from, JSON.stringify(value));
    const isList = Array.isArray(value);
    let at = this.blank(network.text(from, isList ? "[" : "{"));
    for (const [i, [name, one]] of Object.entries(value as JsonRecord).entries()) {
      if (i > 0) at = this.blank(network.text(at, ","));
      if (!isList) at = this.blank(network.text(at, `${JSON.stringify(name)}:`));
      at = this.constant(one as Json, at);
    }
    return network.text(this.blank(at), isList ? "]" : "}");
  }

  #blankRule(): number {
    if (this.#blank !== null) return this.#blank;
    const network = this.#network;
    const { index, start, end } = network.rule();
    this.#blank = index;
    network.byte(start, 0x20, 0x20, end);
    for (const blank of [0x20, 0x09]) {
      let at = network.text(start, "\n");
      network.free(at, end);
      for (let i = 0; i < mostIndentation; i++) {
        const next = network.node();
        network.byte(at, blank, blank, next);
        network.free(next, end);
        at = next;
      }
    }
    return index;
  }
}

/** The rules of one schema: one for each set of schemas that a value must fit. */
class SchemaRules {
  readonly reader: SchemaReader;
  readonly #network: Network;
  readonly #json: JsonNetwork;
  readonly #rules = new Map<string, number>();
  readonly #ids = new Map<JsonRecord | boolean, number>();
  readonly #waiting: (() => void)[] = [];

  constructor(schema: JsonRecord | boolean, network: Network, json: JsonNetwork) {
    this.reader = new SchemaReader(schema);
    this.#network = network;
    this.#json = json;
  }

  /** The rule for values that fit all of these schemas. */
  ruleOf(conjunction: Conjunction): number {
    const ids = conjunction.filter(({ schema }) => schema !== true).map(({ schema }) => this.#idOf(schema));
    const key = [...new Set(ids)].sort((a, b) => a - b).join(" ");
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const { index, start, end } = this.#network.rule();
    this.#rules.set(key, index);
    this.#waiting.push(() => {
      for (const form of this.reader.forms(conjunction)) this.#add(form, start, end);
    });
    return index;
  }

  /** Makes the rules that were asked for, and those that these need. */
  build(): void {
    for (let make = this.#waiting.pop(); make; make = this.#waiting.pop()) make();
  }

  #idOf(schema: JsonRecord | boolean): number {
    const known = this.#ids.get(schema);
    if (known !== undefined) return known;
    this.#ids.set(schema, this.#ids.size);
    return this.#ids.size - 1;
  }

  #add(form: Form, from: number, to: number): void {
    const network = this.#network;
    switch (form.kind) {
      case "constant":
        network.free(this.#json.constant(form.value, from), to);
        return;
      case "null":
        network.free(network.text(from, "null"), to);
        return;
      case "boolean":
        for (const word of ["true", "false"]) network.free(network.text(from, word), to);
        return;
      case "number":
      case "string":
        network.call(from, this.#json.scalarRule(form), to);
        return;
      case "array":
        this.#array(form, from, to);
        return;
      case "object":
        this.#object(form, from, to);
    }
  }

  #array({ prefix, items, least, most }: ArrayForm, from: number, to: number): void {
    const network = this.#network;
    let before = this.#json.blank(network.text(from, "["));
    const close = network.node();
    network.byte(this.#json.blank(close), 0x5d, 0x5d, to);
    if (least === 0) network.byte(before, 0x5d, 0x5d, to);
    const counted = most ?? Math.max(prefix.length, least, 1);
    for (let count = 1; count <= counted; count++) {
      const after = network.node();
      network.call(before, this.ruleOf(prefix[count - 1] ?? items), after);
      if (count >= least) network.free(after, close);
      before = this.#json.blank(network.text(after, ","));
      if (count === counted && most === null) network.call(before, this.ruleOf(items), after);
    }
  }

  /** For each property, a node where its name may be written, and one behind its value. */
  #object(form: ObjectForm, from: number, to: number): void {
    const network = this.#network;
    const { properties, required, additional } = withRequired(form);
    const close = network.node();
    network.byte(this.#json.blank(close), 0x7d, 0x7d, to);
    let first = this.#json.blank(network.text(from, "{")); // nothing is written yet
    let behind = network.node(); // something is
    let next = network.node(); // a comma is
    const comma = (): void => network.free(this.#json.blank(network.text(behind, ",")), next);
    const names = [...properties.keys()];
    const lastRequired = names.findLastIndex((name) => required.has(name));
    for (const [i, [name, value]] of [...properties].entries()) {
      comma();
      if (i > lastRequired) network.free(behind, close);
      const [here, after, firstAfter, nextAfter] = [network.node(), network.node(), network.node(), network.node()];
      network.free(first, here);
      network.free(next, here);
      if (!required.has(name)) {
        network.free(first, firstAfter);
        network.free(next, nextAfter);
      }
      this.#property(network.text(here, `${JSON.stringify(name)}:`), value, after);
      [first, behind, next] = [firstAfter, after, nextAfter];
    }
    comma();
    network.free(behind, close);
    if (lastRequired < 0) network.byte(first, 0x7d, 0x7d, to);
    const here = network.node();
    network.free(first, here);
    network.free(next, here);
    const colon = network.node();
    this.#json.otherName(names, here, colon);
    this.#property(network.text(colon, ":"), additional, behind);
  }

  #property(from: number, value: Conjunction, to: number): void {
    this.#network.call(this.#json.blank(from), this.ruleOf(value), to);
  }
}

/** A form whose required properties are among its properties. */
function withRequired(form: ObjectForm): ObjectForm {
  const unnamed = [...form.required].filter((name) => !form.properties.has(name));
  const properties = new Map([...form.properties, ...unnamed.map((name) => [name, form.additional] as const)]);
  return { ...form, properties };
}

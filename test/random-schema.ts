import type { DrawReader } from "../src/core/random.ts";

/** A schema with a way to draw values that it allows. */
export interface DrawnSchema {
  readonly schema: object | boolean;
  /** A value, with properties in the order of the schema. */
  readonly value: () => unknown;
}

/** Draws schemas of all supported keywords, and values that they allow. */
export class RandomSchemas {
  readonly #draws: DrawReader;

  constructor(draws: DrawReader) {
    this.#draws = draws;
  }

  /** A schema that refers to itself now and then. */
  draw(): DrawnSchema {
    if (this.#below(8) > 0) return this.#any(3);
    const leaf = this.#any(0);
    const next = (depth = 0): unknown =>
      depth > 3 || this.#below(2) === 0
        ? { leaf: leaf.value() }
        : { leaf: leaf.value(), next: next(depth + 1), more: [next(depth + 1)] };
    const node = {
      type: "object",
      properties: {
        leaf: { $ref: "#/$defs/leaf" },
        next: { $ref: "#/$defs/node" },
        more: { items: { $ref: "#/$defs/node" } },
      },
      required: ["leaf"],
      additionalProperties: false,
    };
    return { schema: { $defs: { leaf: leaf.schema, node }, $ref: "#/$defs/node" }, value: next };
  }

  #below(count: number): number {
    return Math.floor(this.#draws.uniform() * count);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }

  #any(depth: number): DrawnSchema {
    const scalars = [
      () => this.#integer(),
      () => this.#number(),
      () => this.#string(),
      () => this.#pattern(),
      () => this.#format(),
      () => this.#constant(),
      () => ({
        schema: { type: this.#pick(["boolean", ["boolean", "null"]]) },
        value: () => this.#pick([true, false]),
      }),
      () => ({ schema: { type: "null" }, value: () => null }),
      () => ({
        schema: this.#pick([{}, true]),
        value: () => this.#pick([null, 1.5, "é", [{ a: [] }], { "": "\u0001" }]),
      }),
    ];
    const nested = [
      ...[() => this.#object(depth), () => this.#object(depth), () => this.#array(depth), () => this.#tuple(depth)],
      ...[() => this.#anyOf(depth), () => this.#oneOf(depth), () => this.#allOf(depth)],
    ];
    return this.#pick(depth > 0 ? [...nested, this.#pick(scalars)] : scalars)();
  }

  #integer(): DrawnSchema {
    const least = this.#below(300) - 150;
    const most = least + this.#below(400);
    const isExcluded = this.#below(4) === 0;
    const schema = isExcluded
      ? { type: "integer", exclusiveMinimum: least - 1, exclusiveMaximum: most + 0.5 }
      : { type: "integer", minimum: least, maximum: most };
    return { schema, value: () => least + this.#below(most - least + 1) };
  }

  #number(): DrawnSchema {
    if (this.#below(3) === 0)
      return { schema: { type: "number" }, value: () => this.#pick([0, -1.25, 1e-7, 123456.5]) };
    const least = (this.#below(4000) - 2000) / 100;
    const most = least + this.#below(500) / 1000;
    const value = (): number => Number((least + this.#draws.uniform() * (most - least)).toFixed(5));
    return {
      schema: { type: "number", minimum: least, maximum: most },
      value: () => Math.min(Math.max(value(), least), most),
    };
  }

  #string(): DrawnSchema {
    const least = this.#below(3);
    const most = least + this.#below(6);
    const schema = { type: "string", ...(least > 0 && { minLength: least }), ...(most < 6 && { maxLength: most }) };
    const value = (): string =>
      Array.from({ length: least + this.#below(most - least + 1) }, () => this.#pick([...'ab"\\ é€𝄞\n\u0007/'])).join(
        "",
      );
    return { schema, value };
  }

  #pattern(): DrawnSchema {
    const [pattern, values] = this.#pick<readonly [string, readonly string[]]>([
      ["^[a-c]{2,4}-\\d+$", ["ab-1", "abca-0123"]],
      ["^(?:x|yz)*$", ["", "xyzx"]],
      ["foo|^bar", ["a foo", "bar none", "foo"]],
      ['^[^\\s"]+\\.$', ["é€.", "a\\b."]],
      ["\\u{1D11E}|[\\-\\]]", ["a𝄞b", "]", "-"]],
      ["^.?(?<name>q+?)$", ["qq", "q", '"q']],
    ]);
    return { schema: { type: "string", pattern, maxLength: 12 }, value: () => this.#pick(values) };
  }

  #format(): DrawnSchema {
    const [format, value] = this.#pick([
      ["date", "2024-02-29"],
      ["time", "23:59:59Z"],
      ["date-time", "1999-12-31T00:00:00.5+01:00"],
      ["uuid", "123e4567-e89b-12d3-a456-426614174000"],
      ["ipv4", "255.0.19.1"],
      ["email", "a.b@example.org"],
      ["hostname", "a-b.example"],
      ["uri", "https://example.org/a?b=c#d"],
      ["duration", "P1DT2H"],
    ] as const);
    return { schema: { type: "string", format }, value: () => value };
  }

  #constant(): DrawnSchema {
    const values = ["red", 'a"b', 0, -1.5, null, true, [1, [2]], { a: { b: 1 } }, "ü"].filter(
      () => this.#below(2) === 0,
    );
    const some = values.length > 0 ? values : [1];
    return this.#below(4) === 0
      ? { schema: { const: some[0] }, value: () => some[0] }
      : { schema: { enum: some }, value: () => this.#pick(some) };
  }

  #array(depth: number): DrawnSchema {
    const of = this.#any(depth - 1);
    const least = this.#below(3);
    const most = least + this.#below(3);
    const schema = {
      type: "array",
      items: of.schema,
      ...(least > 0 && { minItems: least }),
      ...(most < 4 && { maxItems: most }),
    };
    return { schema, value: () => Array.from({ length: least + this.#below(most - least + 1) }, () => of.value()) };
  }

  #tuple(depth: number): DrawnSchema {
    const [a, b, rest] = [this.#any(depth - 1), this.#any(depth - 1), this.#any(depth - 1)];
    const schema = {
      type: "array",
      prefixItems: [a.schema, b.schema],
      items: this.#pick([rest.schema, false]),
      minItems: 1,
    };
    return { schema, value: () => [a.value(), b.value()].slice(0, 1 + this.#below(2)) };
  }

  #object(depth: number): DrawnSchema {
    const names = ["name", 'q"', "é", "a/b", "n", "na"].filter(() => this.#below(2) === 0);
    const properties = names.map((name) => ({ name, is: this.#any(depth - 1), isRequired: this.#below(2) === 0 }));
    const more = this.#below(3) === 0 ? this.#any(0) : null;
    const schema = {
      type: "object",
      properties: Object.fromEntries(properties.map(({ name, is }) => [name, is.schema])),
      required: properties.filter(({ isRequired }) => isRequired).map(({ name }) => name),
      ...(more ? { additionalProperties: more.schema } : this.#pick([{ additionalProperties: false }, {}])),
    };
    const value = (): object => {
      const kept = properties.filter(({ isRequired }) => isRequired || this.#below(2) === 0);
      const own = kept.map(({ name, is }): [string, unknown] => [name, is.value()]);
      return Object.fromEntries([...own, ...(more && this.#below(2) === 0 ? [["nam", more.value()] as const] : [])]);
    };
    return { schema, value };
  }

  #anyOf(depth: number): DrawnSchema {
    const options = [this.#any(depth - 1), this.#any(depth - 1), this.#any(depth - 1)];
    return { schema: { anyOf: options.map(({ schema }) => schema) }, value: () => this.#pick(options).value() };
  }

  #oneOf(depth: number): DrawnSchema {
    const options = ["cat", "dog"].map((kind) => ({ kind, is: this.#any(depth - 1) }));
    const schema = options.map(({ kind, is }) => ({
      ...{ type: "object", properties: { kind: { const: kind }, is: is.schema } },
      ...{ required: ["kind", "is"], additionalProperties: false },
    }));
    const value = (): object => {
      const { kind, is } = this.#pick(options);
      return { kind, is: is.value() };
    };
    return { schema: { oneOf: schema }, value };
  }

  #allOf(depth: number): DrawnSchema {
    const [a, b] = [this.#any(depth - 1), this.#any(depth - 1)];
    const schema = {
      type: "object",
      allOf: [{ properties: { a: a.schema }, required: ["a"] }, { properties: { b: b.schema, a: {} } }],
      anyOf: [{ required: ["b"] }, { properties: { c: { type: "integer", minimum: 3 } } }],
    };
    return { schema, value: () => ({ a: a.value(), b: b.value(), ...(this.#below(2) === 0 && { c: 4 }) }) };
  }
}

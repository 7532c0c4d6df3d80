import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Template } from "./template.ts";
import { JinjaError } from "./values.ts";

interface Case {
  readonly template: string;
  readonly strict: boolean;
  readonly keep_trailing_newline?: boolean;
  readonly trim_blocks?: boolean;
  readonly lstrip_blocks?: boolean;
  /** What Jinja2 made of it; absent where it refused. */
  readonly text?: string;
}

const path = new URL("../../../test/parity/fixtures/jinja/cases.json", import.meta.url);
const { variables, cases } = JSON.parse(readFileSync(path, "utf8")) as {
  variables: Record<string, unknown>;
  cases: Case[];
};

const render = (source: string, given: Record<string, unknown> = {}): string => new Template(source).render(given).text;

test.each(cases)("as Jinja2: %j", (recorded) => {
  const options = {
    isStrict: recorded.strict,
    trimBlocks: recorded.trim_blocks ?? false,
    lstripBlocks: recorded.lstrip_blocks ?? false,
    keepTrailingNewline: recorded.keep_trailing_newline ?? false,
  };
  const run = (): string => new Template(recorded.template, options).render(variables).text;
  if (recorded.text === undefined) expect(run).toThrow(JinjaError);
  else expect(run()).toBe(recorded.text);
});

test.each([
  ["{% for i in range(2000000000) %}x{% endfor %}", /takes more than 2000000 steps/],
  ["{% for i in range(1500) %}{% for j in range(1500) %}{% endfor %}{% endfor %}", /takes more than 2000000 steps/],
  ["{{ 'x' * 100000000000 }}", /makes more than 10000000 characters/],
  ["{% set ns = namespace(s='xxxx') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", /characters/],
  ["{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", /calls itself more than 50 times/],
  ["{{ '%999999999999d' % 1 }}", /makes more than 10000000 characters/],
  [`{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`, /more than 100 expressions inside each other/],
  [`${"{% if 1 %}".repeat(5000)}${"{% endif %}".repeat(5000)}`, /more than 100 blocks inside each other/],
])("a template that would run for ever is stopped: %.60s", (source, message) => {
  expect(() => render(source)).toThrow(message);
});

test("40,000 spaces are read in no time", () => {
  expect(render(`a${" ".repeat(40_000)}{{- 1 }}${" ".repeat(40_000)}b`)).toHaveLength(40_003);
});

test("messages name the line", () => {
  expect(() => render("a\n{{ b\n}}\n{% nothing %}")).toThrow("line 4: the statement {% nothing %} is not supported");
  expect(() => render("{% if a %}")).toThrow("line 1: found the end where {% endif %} was expected");
});

test("what stands in generation blocks is told by its place", () => {
  const source = "{% for m in all %}<{% generation %}{{ m }}!{% endgeneration %}>{% endfor %}";
  const { text, generations } = new Template(source).render({ all: ["a", "🙂b"] });
  expect(text).toBe("<a!><🙂b!>");
  expect(generations.map(({ start, end }) => text.slice(start, end))).toEqual(["a!", "🙂b!"]);
});

test("functions of the caller are called, filters of the caller used", () => {
  const filters = { twice: (value: unknown) => `${value}${value}` };
  expect(
    new Template("{{ f(2, 'x') | twice }}", { filters }).render({ f: (n: number, s: string) => s.repeat(n) }).text,
  ).toBe("xxxx");
});

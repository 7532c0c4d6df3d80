import { expect, test } from "vitest";
import { recipes } from "./index.ts";
import type { RecipeRows } from "./recipe.ts";

// The others need packages that few have.
const tried = recipes.filter(({ name }) => /^(wordnet|next|verse)/.test(name));
const made = new Map<string, RecipeRows>();

test.each(tried)(
  "$name: every row is whole, and the parts share no text",
  (recipe) => {
    const rows = recipe.make();
    made.set(recipe.name, rows);
    const { train, test: heldOut } = rows;
    expect(train.length).toBeGreaterThan(5000);
    expect(heldOut.length).toBeGreaterThanOrEqual(700);
    const first = (row: object): unknown => Object.values(row)[0];
    const texts = new Set(train.map(first));
    expect(heldOut.filter((row) => texts.has(first(row)))).toEqual([]);
    expect([...train, ...heldOut].filter((row) => Object.values(row).includes(""))).toEqual([]);
    const choices = heldOut.flatMap((row) => ("choices" in row ? [row.choices as string[]] : []));
    expect(choices.filter((own) => new Set(own).size !== 4)).toEqual([]);
  },
  60_000,
);

test("making twice gives the same", { timeout: 60_000 }, () => {
  const topic = recipes.find(({ name }) => name === "wordnet-topic");
  expect(topic?.make().test.slice(0, 50)).toEqual(made.get("wordnet-topic")?.test.slice(0, 50));
});

test("answers stand at every place, classes are balanced", () => {
  const count = (name: string, column: string): number[] => {
    const values = made.get(name)?.test.map((row) => (row as Record<string, unknown>)[column]) ?? [];
    return [...new Set(values)].map((value) => values.filter((other) => other === value).length);
  };
  expect(Math.min(...count("wordnet-choice", "answer"))).toBeGreaterThan(200);
  expect(count("wordnet-topic", "label")).toEqual(Array.from({ length: 8 }, () => 125));
});

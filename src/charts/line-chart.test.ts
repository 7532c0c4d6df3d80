import { parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { lineCharts } from "./line-chart.ts";

/** The part of a page's elements that is looked at here. */
interface Element {
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Element>;
}

function draw(svg: string): Element {
  const root = parseHTML(`<!doctype html><html><body>${svg}</body></html>`).document.querySelector("svg");
  if (root === null) throw new Error("no picture");
  return root;
}

/** Places that a path goes through. */
function pointsOf(path: Element | null): [number, number][] {
  const numbers = (path?.getAttribute("d") ?? "").match(/-?[\d.]+/g) ?? [];
  return Array.from({ length: numbers.length / 2 }, (_, i) => [Number(numbers[2 * i]), Number(numbers[2 * i + 1])]);
}

const textsOf = (root: Element): string[] => [...root.querySelectorAll("text")].map((text) => text.textContent ?? "");

test("points lie where the axes say, with names at the ends of the lines", async () => {
  const lines = [
    { name: "a", points: [0, 5, 10].map((x) => ({ x, y: 10 - x })) },
    { name: "b", points: [{ x: 10, y: 2 }] },
  ];
  const root = draw(await lineCharts([{ x: "step", y: "loss", lines }]));
  const path = [...root.querySelectorAll('[aria-label="line"] path')][0] ?? null;
  // 760 wide, 56 left, 24 + 6.2 right; 320 high, 34 above, 40 below; 4 % of the values' range as room at both ends.
  const right = 760 - 24 - 6.2;
  const y = (value: number): number => 280 - (246 * (value + 0.4)) / 10.8;
  const expected = [
    [56, y(10)],
    [(56 + right) / 2, y(5)],
    [right, y(0)],
  ];
  for (const [i, [px, py]] of pointsOf(path).entries()) {
    expect(px).toBeCloseTo(expected[i]?.[0] ?? 0, 2); // written with three decimals
    expect(py).toBeCloseTo(expected[i]?.[1] ?? 0, 2); // written with three decimals
  }
  expect(pointsOf(path)).toHaveLength(3);
  expect(textsOf(root)).toEqual(expect.arrayContaining(["↑ loss", "step →", "a", "b"]));
});

test("a name is text, whatever is in it, and the end of a long one is shown", async () => {
  const names = ['<script>&"x"', `runs/${"long/".repeat(20)}end`];
  const lines = names.map((name) => ({ name, points: [{ x: 0, y: 0 }] }));
  const svg = await lineCharts([{ x: "step", y: "loss", lines }]);
  expect(svg).not.toContain("<script>");
  const texts = textsOf(draw(svg));
  expect(texts).toContain('<script>&"x"');
  expect(texts.find((text) => text.endsWith("long/end"))).toMatch(/^….{31}$/);
});

test("names of lines that end at one place stand apart", async () => {
  const lines = ["a", "b", "c"].map((name) => ({ name, points: [0, 1].map((x) => ({ x, y: 1 - x })) }));
  const root = draw(await lineCharts([{ x: "step", y: "loss", lines }]));
  const labels = [...root.querySelectorAll("text")].filter((text) => /^[abc]$/.test(text.textContent ?? ""));
  const heights = labels
    .map((text) => Number(/,([\d.]+)\)/.exec(text.getAttribute("transform") ?? "")?.[1]))
    .sort((a, b) => a - b);
  expect(heights).toHaveLength(3);
  expect((heights[1] ?? 0) - (heights[0] ?? 0)).toBeCloseTo(14, 3);
  expect((heights[2] ?? 0) - (heights[1] ?? 0)).toBeCloseTo(14, 3);
});

test("a long run gives a small picture that keeps its peak", async () => {
  const points = Array.from({ length: 100_000 }, (_, x) => ({ x, y: x === 54_321 ? 100 : Math.sin(x) }));
  const svg = await lineCharts([{ x: "step", y: "loss", lines: [{ name: "long", points }] }]);
  expect(svg.length).toBeLessThan(100_000);
  const [faint, mean] = [...draw(svg).querySelectorAll('[aria-label="line"] path')];
  const top = (path: Element | undefined): number => Math.min(...pointsOf(path ?? null).map(([, y]) => y));
  expect(top(faint)).toBeCloseTo(280 - (246 * (100 + 1 + 0.04 * 101)) / (1.08 * 101), 1);
  expect(top(mean)).toBeGreaterThan(200); // the mean of a fortieth of the points hides it
});

test("each colour has one for dark pages", async () => {
  const lines = Array.from({ length: 6 }, (_, i) => ({ name: `${i}`, points: [0, 1].map((x) => ({ x, y: i + x })) }));
  const svg = await lineCharts([{ x: "step", y: "loss", lines }]);
  const used = new Set([...svg.matchAll(/(?:fill|stroke)="(#[0-9a-f]{6})"/g)].map(([, colour]) => colour));
  expect(used.size).toBe(7);
  const dark = /prefers-color-scheme: dark\)\{(.*?)<\/style>/.exec(svg)?.[1];
  for (const colour of used) expect(dark).toContain(`="${colour}"]`);
});

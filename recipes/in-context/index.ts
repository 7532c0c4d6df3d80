/**
 * What examples in the prompt are worth to models of several sizes, beside teaching them the same task:
 * `npx tsx recipes/in-context/index.ts`. Leaves `in-context.json` and `in-context.svg` in the folder of --output.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { openBackend } from "../../src/index.ts";
import type { Line } from "../charts.ts";
import { chartSize, colours, lineChart } from "../charts.ts";
import { wholeNumber } from "../whole-number.ts";
import type { Size, Terms } from "./models.ts";
import { ask, pretrained, teach } from "./models.ts";

const sizes: readonly Size[] = [
  [2, 64],
  [4, 128],
  [6, 192],
];
const terms = readOptions();
const backend = await openBackend({ threads: terms.threads, matmulPrecision: "bfloat16" });
const results: object[] = [];
const lines: Line[] = [];

for (const [i, size] of sizes.entries()) {
  const [layers, width] = size;
  const title = `${layers} layers, width ${width}`;
  tell(`${title} is pretrained`);
  const base = await pretrained(size, terms);
  tell(`${title} is asked`);
  const asked = await ask(base, terms, backend);
  tell(`${title} is taught`);
  const taught = await teach(base, size, terms);
  results.push({ layers, width, asked, taught });
  const colour = colours[i] ?? "black";
  lines.push({ label: title, colour, points: asked.map(({ shots, accuracy }) => [shots, accuracy]) });
  const ends = [0, terms.shots.at(-1) ?? 0];
  lines.push({ label: `${title}, fine-tuned`, colour, points: ends.map((x) => [x, taught.accuracy]) });
}
writeFileSync(join(terms.output, "in-context.json"), `${JSON.stringify({ ...terms, results }, null, 2)}\n`);
writeFileSync(join(terms.output, "in-context.svg"), picture());
for (const { label, points } of lines) tell(`${label}: ${points.map(([x, y]) => `${x}: ${y.toFixed(3)}`).join(", ")}`);

/** The chart as a file of its own, with its colours named below it. */
function picture(): string {
  const chart = lineChart(lines, { x: "examples in the prompt; level: fine-tuned", y: "accuracy" });
  const { width, height } = chartSize;
  const names = sizes.map(([layers, wide], i) => {
    const place = `x="${60 + 150 * i}" y="${height + 18}"`;
    return `<text ${place} fill="${colours[i]}">${layers} layers, width ${wide}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 30}">`,
    "<style>text{font:12px sans-serif}.grid{stroke:#ddd}.axis{stroke:black}</style>",
    chart,
    ...names,
    "</svg>\n",
  ].join("");
}

function readOptions(): Terms {
  const [count, some] = [wholeNumber(0), wholeNumber(1)];
  const given = new Command("npx tsx recipes/in-context/index.ts")
    .description("Draws accuracy against examples in the prompt for several sizes of model.")
    .option("--steps <n>", "steps of pretraining", some, 600)
    .option("--teach <n>", "steps of fine-tuning", some, 150)
    .option("--shots <k,…>", "examples before each question", (text) => text.split(",").map(count), [0, 1, 2, 4, 8])
    .option("--questions <n>", "questions; 0 is all", count, 400)
    .option("--threads <n>", "threads to compute with", some, availableParallelism())
    .option("--output <folder>", "where everything goes", "runs/in-context")
    .parse()
    .opts<Omit<Terms, "task">>();
  return { ...given, task: "next-verse" };
}

function tell(line: string): void {
  process.stderr.write(`in-context: ${line}\n`);
}

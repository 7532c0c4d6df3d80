/**
 * Trains every shape of language model on the King James Bible for the same number of operations, and compares what came
 * out: `npx tsx recipes/shapes/index.ts`. Leaves `report.html` and `report.json` in the folder of --output; when it is
 * stopped, the same command begins with the shape it was at.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { openBackend, parameters, writeCorpus } from "../../src/index.ts";
import { wholeNumber } from "../whole-number.ts";
import type { Terms } from "./contest.ts";
import { compete, stepCost } from "./contest.ts";
import type { ContestantName } from "./contestants.ts";
import { contestants } from "./contestants.ts";
import type { Gap } from "./gaps.ts";
import { fillGaps, makeGaps } from "./gaps.ts";
import { learnedMap } from "./maps.ts";
import { open } from "./opened.ts";
import type { Result } from "./report.ts";
import { reportPage } from "./report.ts";
import { sampleOf } from "./samples.ts";

const { output, steps, gaps, seed, only, threads } = readOptions();
const matmulPrecision = "bfloat16";
const backend = await openBackend({ threads, matmulPrecision });
const corpus = await writeCorpus(join(output, "data"));
const terms: Terms = {
  ...{ data: [corpus.text], validation: [corpus.heldOutText], output, seed, threads, matmulPrecision },
};
const budget = steps * (await stepCost(contestants.gpt2, terms)).operations;

const results: Result[] = [];
for (const name of only) {
  results.push(await finished(name));
}
const machine = `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${threads} threads`;
const comparison = { seed, machine, matmulPrecision, gaps, results };
writeFileSync(join(output, "report.json"), `${JSON.stringify(comparison, null, 2)}\n`);
writeFileSync(join(output, "report.html"), reportPage(comparison));
tell(`report: ${join(output, "report.html")}`);

/** A result that is there already, from a comparison on the same terms that was stopped, or a new one. */
async function finished(name: ContestantName): Promise<Result> {
  const path = join(output, name, "result.json");
  const on = { steps, gaps, seed };
  if (existsSync(path)) {
    const known = JSON.parse(readFileSync(path, "utf8")) as { on: typeof on; result: Result };
    if (JSON.stringify(known.on) === JSON.stringify(on)) return known.result;
  }
  tell(`${contestants[name].title} learns`);
  const result = await examine(name);
  writeFileSync(path, JSON.stringify({ on, result }));
  return result;
}

async function examine(name: ContestantName): Promise<Result> {
  const contestant = contestants[name];
  const trained = await compete(contestant, { ...terms, output: join(output, name) }, budget);
  const opened = await open(contestant, trained.folder, backend);
  const own = [...parameters(opened.model).values()];
  const all = own.reduce((sum, { size }) => sum + size, 0);
  // Experts lie in tensors of three axes; of eight a token meets two.
  const idle = own.reduce((sum, { size, shape }) => sum + (shape.length > 2 ? 0.75 * size : 0), 0);
  return {
    ...trained,
    name,
    parameters: all,
    parametersAtWork: all - idle,
    bitsPerCharacter: contestant.kind === "decoder" ? (trained.curve.at(-1)?.loss ?? null) : null,
    gaps: await fillGaps(opened, gapsFor(opened.tokenizer)),
    sample: await sampleOf(opened, seed),
    map: await learnedMap(contestant, trained.folder, backend),
  };
}

/** The same gaps for all: their tokens are the same. */
function gapsFor(tokenizer: Parameters<typeof makeGaps>[1]): Gap[] {
  const lines = readFileSync(corpus.heldOutText, "utf8").trimEnd().split("\n");
  const texts = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  return makeGaps(texts, tokenizer, gaps, seed);
}

function readOptions() {
  const names = Object.keys(contestants) as ContestantName[];
  const count = wholeNumber(1);
  return new Command("npx tsx recipes/shapes/index.ts")
    .description("Compares shapes of language models at equal parameters, text and operations.")
    .option("--steps <n>", "steps of GPT-2; the others get as many operations", count, 600)
    .option("--gaps <n>", "held-out words to fill in", count, 400)
    .option("--seed <n>", "number that every random choice follows from", count, 1)
    .option("--threads <n>", "threads to compute with", count, availableParallelism())
    .option("--output <folder>", "where models and report go", "runs/shapes")
    .option<ContestantName[]>(
      "--only <names>",
      `some of ${names.join(",")}`,
      (text) =>
        text.split(",").map((given) => {
          const known = names.find((name) => name === given);
          if (!known) throw new InvalidArgumentError(`There is none called ${given}.`);
          return known;
        }),
      names,
    )
    .parse()
    .opts<{ steps: number; gaps: number; seed: number; threads: number; output: string; only: ContestantName[] }>();
}

function tell(line: string): void {
  process.stderr.write(`shapes: ${line}\n`);
}

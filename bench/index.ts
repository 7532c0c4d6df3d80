/**
 * Speed beside peers and the machine's own limits: `npm run bench`, see docs/benchmarks.md. Prints tables on standard
 * output and what it is doing on standard error.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { describeMachine, packageVersion } from "../src/train/machine.ts";
import type { AdaptersResult } from "./adapters-benchmark.ts";
import { adaptersTable, benchmarkAdapters } from "./adapters-benchmark.ts";
import type { BatchingResult } from "./batching-benchmark.ts";
import { batchingTable, benchmarkBatching } from "./batching-benchmark.ts";
import type { DecodingResult } from "./decoding-benchmark.ts";
import { benchmarkDecoding, decodingTables } from "./decoding-benchmark.ts";
import type { EvaluationResult } from "./evaluation-benchmark.ts";
import { benchmarkEvaluation, evaluationTable } from "./evaluation-benchmark.ts";
import { findPython, peftRemedy, pythonRemedy } from "./find-python.ts";
import type { Precision } from "./machine-limits.ts";
import { MachineLimits } from "./machine-limits.ts";
import type { PicturesResult } from "./pictures-benchmark.ts";
import { benchmarkPictures, picturesTable } from "./pictures-benchmark.ts";
import type { ShapeName } from "./shapes.ts";
import { shapes } from "./shapes.ts";
import { formatNumber } from "./table.ts";
import type { TokenizerResult } from "./tokenizer-benchmark.ts";
import { benchmarkTokenizer, tokenizerTable } from "./tokenizer-benchmark.ts";
import type { TrainingResult } from "./training-benchmark.ts";
import { benchmarkTraining, trainingTable } from "./training-benchmark.ts";

const parts = ["training", "adapters", "decoding", "batching", "tokenizer", "evaluation", "pictures"] as const;

interface Options {
  readonly only: readonly (typeof parts)[number][];
  readonly shapes: readonly ShapeName[];
  readonly precision: readonly Precision[];
  readonly repeats: number;
  readonly threads: number;
  readonly python?: string;
  readonly json?: string;
}

const started = performance.now();
const options = readOptions();
const limits = new MachineLimits(options.threads);
const notes = new Set<string>();

print(`${describeMachine().processor}, ${limits.instructionSet}, ${options.threads} threads`);
const training = options.only.includes("training") ? await measureTraining() : [];
const adapters = options.only.includes("adapters") ? await measureAdapters() : [];
const decoding = options.only.includes("decoding") ? await measureDecoding() : [];
const batching = options.only.includes("batching") ? await measureBatching() : [];
const tokenizer = options.only.includes("tokenizer") ? await measureTokenizer() : [];
const evaluation = options.only.includes("evaluation") ? await measureEvaluation() : [];
const pictures = options.only.includes("pictures") ? await measurePictures() : [];
for (const note of notes) print(`\nNot measured: ${note}`);
if (options.json !== undefined) await writeRecord(options.json);
tell(`done in ${formatNumber((performance.now() - started) / 1000)} s`);

async function measureTraining(): Promise<TrainingResult[]> {
  const python = options.python ?? findPython(["torch"]);
  if (python === null) notes.add(pythonRemedy);
  print("\nTraining step: forward, backward, clipping, AdamW (medians)");
  const results: TrainingResult[] = [];
  for (const shape of options.shapes) {
    const own: TrainingResult[] = [];
    for (const precision of options.precision) {
      tell(`training ${shape} in ${precision}`);
      const plan = { shape, precision, threads: options.threads, rounds: options.repeats, python };
      own.push(...(await benchmarkTraining(plan, limits, (why) => notes.add(why))));
    }
    print(`\n${shape}: ${describeShape(shape)}\n`, ...trainingTable(own));
    results.push(...own);
  }
  print("");
  for (const precision of options.precision) {
    print(`Measured peak in ${precision}: ${formatNumber(limits.peak(precision) / 1e9)} GFLOP/s`);
  }
  return results;
}

async function measureAdapters(): Promise<AdaptersResult[]> {
  const python = options.python ?? findPython(["torch", "transformers", "peft"]);
  if (python === null) notes.add(peftRemedy);
  print("\nTraining step of adapters (rank 8, all linear layers) on SmolLM2-135M's shape, 4 × 256 tokens (medians)");
  const results: AdaptersResult[] = [];
  for (const precision of options.precision) {
    tell(`adapters in ${precision}`);
    const plan = { precision, threads: options.threads, rounds: options.repeats, python };
    const own = await benchmarkAdapters(plan, (why) => notes.add(why));
    print("", ...adaptersTable(own));
    results.push(...own);
  }
  return results;
}

async function measureDecoding(): Promise<DecodingResult[]> {
  tell("prompt and decoding beside llama.cpp");
  const results = await benchmarkDecoding({ threads: options.threads, rounds: options.repeats }, limits, (why) =>
    notes.add(why),
  );
  const { prompt, decode } = decodingTables(results);
  print("\nReading a prompt of 256 tokens, SmolLM2-135M's shape, batch 1 (medians)\n", ...prompt);
  print("\nDecoding 64 tokens after it (medians)\n", ...decode, "");
  print(`Measured reading of memory: ${formatNumber(limits.bandwidth / 1e9)} GB/s`);
  return results;
}

async function measureBatching(): Promise<BatchingResult[]> {
  tell("sequences side by side, beside llama.cpp");
  const results = await benchmarkBatching(options.threads, options.repeats, (why) => notes.add(why));
  print("\nSequences side by side, a Llama of 17 M weights in float32, sampling included (medians)\n");
  print(...batchingTable(results));
  return results;
}

async function measureTokenizer(): Promise<TokenizerResult[]> {
  tell("tokenizers");
  const results = await benchmarkTokenizer(options.repeats, (why) => notes.add(why));
  print("\nByte-level BPE on the King James Bible, 4.2 MB (medians)\n", ...tokenizerTable(results));
  return results;
}

async function measureEvaluation(): Promise<EvaluationResult[]> {
  tell("multiple-choice questions at shape M");
  const results = await benchmarkEvaluation(options.threads, options.repeats);
  print("\nMultiple choice with shape M in float32 (medians)\n", ...evaluationTable(results));
  return results;
}

async function measurePictures(): Promise<PicturesResult[]> {
  tell("convolutions beside PyTorch");
  const python = options.python ?? findPython(["torch"]);
  if (python === null) notes.add(pythonRemedy);
  const plan = { threads: options.threads, rounds: options.repeats, python };
  const results = await benchmarkPictures(plan, limits, (why) => notes.add(why));
  print("\n3×3 convolutions in float32, forwards and with both gradients (best of a turn, medians of turns)\n");
  print(...picturesTable(results));
  return results;
}

function describeShape(name: ShapeName): string {
  const { model, layers, heads, width, context, batch, vocabulary } = shapes[name];
  const size = `${layers} layers, ${heads} heads, width ${width}`;
  return `${model} of ${size}, context ${context}, batch ${batch}, vocabulary ${vocabulary.toLocaleString("en-US")}`;
}

async function writeRecord(path: string): Promise<void> {
  const about = { stemma: packageVersion(), machine: describeMachine(), limits: limits.summary() };
  await writeFile(
    path,
    `${JSON.stringify({ ...about, training, adapters, decoding, batching, tokenizer, evaluation, pictures, notMeasured: [...notes] }, null, 2)}\n`,
  );
}

function readOptions(): Options {
  return new Command("npm run bench --")
    .description(
      "Measures training, adapters, decoding, batching, tokenizers, evaluation and convolutions beside other programs and the machine's limits.",
    )
    .addOption(listOption("--only <parts>", "parts to run", parts))
    .addOption(listOption("--shapes <shapes>", "shapes to train", Object.keys(shapes)))
    .addOption(listOption("--precision <precisions>", "precisions to train in", ["float32", "bfloat16"]))
    .option("--repeats <n>", "turns of each program", positiveInteger, 5)
    .option("--threads <n>", "threads of each program", positiveInteger, availableParallelism())
    .option("--python <path>", "a Python that has torch (default: the first python3 of PATH that has it)")
    .option("--json <file>", "write every number to a file")
    .parse()
    .opts<Options>();
}

/** A list separated by commas, of the given words; all of them without. */
function listOption(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, `${description}: ${choices.join(",")}`).default(choices, "all").argParser((text) => {
    const words = text.split(",").map((word) => word.trim());
    const unknown = words.find((word) => !choices.includes(word));
    if (unknown === undefined) return words;
    throw new InvalidArgumentError(`${unknown} is none of ${choices.join(", ")}`);
  });
}

function positiveInteger(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("give a positive integer");
}

function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

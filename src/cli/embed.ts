import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { BadRows } from "../data/bad-rows.ts";
import type { JsonlRow } from "../data/jsonl.ts";
import { stringColumn } from "../data/jsonl.ts";
import { columnError, readRecords } from "../data/records.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { embedTexts } from "../generate/embed.ts";
import type { Embedder } from "../generate/embedder.ts";
import { openEmbedder } from "../generate/embedder.ts";
import { npyPieces } from "../generate/npy.ts";
import { nearestVectors, similarity } from "../generate/similarity.ts";
import { poolingModes } from "../models/sentence-modules.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { badRowSettings, readNotingBad } from "../stages/row-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";
import { readInput, readTextFile } from "./read-input.ts";

const EmbedSettings = z.object({
  model: z
    .string()
    .min(1)
    .describe("folder of sentence-transformers, of an encoder or of a decoder")
    .meta({ placeholder: "folder" }),
  ...addedAdapterSettings,
  text: z
    .array(z.string())
    .default([])
    .describe("text to embed; more than one may be given; without --text and --input, lines of standard input")
    .meta({ placeholder: "text", commas: false }),
  input: z
    .array(z.string())
    .default([])
    .describe("texts: lines of .txt files, or a column of files of JSON, CSV or Parquet")
    .meta({ placeholder: "file" }),
  column: z.string().min(1).default("text").describe("column of the text in files that have columns").meta({
    placeholder: "name",
  }),
  ...badRowSettings,
  prompt: z.string().optional().describe('text to put before every text, such as "query: "'),
  promptName: z.string().optional().describe("which of the model's own prompts to put before every text").meta({
    placeholder: "name",
  }),
  query: z.string().optional().describe("shows the texts that are most like this one, instead of all embeddings"),
  queryPrompt: z.string().optional().describe("text to put before the query; default: the model's prompt named query"),
  top: z.int().positive().default(5).describe("how many of them to show").meta({ placeholder: "count" }),
  pooling: z
    .enum(poolingModes)
    .optional()
    .describe("how states become one vector; default: what the folder says, else mean, of decoders lasttoken"),
  output: z
    .string()
    .min(1)
    .optional()
    .describe("file for the embeddings: .npy, or .jsonl with a line {text, embedding} each")
    .meta({ placeholder: "file" }),
  overwrite: overwriteSetting,
  batchSize: z.int().positive().default(32).describe("texts that go through the model at once"),
  ...machineSettings,
});
type EmbedSettings = z.output<typeof EmbedSettings>;

/** `stemma embed`: texts as vectors, how alike two are, and a search by meaning. */
export const embed = defineCommand({
  name: "embed",
  summary: "texts as vectors; how alike they are; search by meaning",
  group: "Use a model",
  settings: EmbedSettings,
  examples: [
    'stemma embed --model hub:sentence-transformers/all-MiniLM-L6-v2 --text "a cat" --text "a kitten"',
    "stemma embed --model minilm --input notes.txt --output notes.npy",
    'stemma embed --model minilm --input faq.csv --column question --query "how do I pay" --top 3',
  ],
  async run(settings, io) {
    await refuseWrong(settings);
    const texts = await textsOf(settings, io);
    const signal = io.stopSignal(); // not before: whoever waits for standard input is ended at once
    const backend = await openMachine(settings, io);
    const { model, pooling = null, adapter: adapters } = settings;
    const embedder = await openEmbedder(model, backend, { pooling, note: io.note, adapters });
    const embeddings = await embedAll(embedder, texts, settings, signal);
    if (settings.output !== undefined) {
      await writeEmbeddings(settings.output, texts, embeddings, signal);
      return sayWritten(settings.output, embeddings, io);
    }
    if (settings.query !== undefined) return search(embedder, settings.query, texts, embeddings, settings, io);
    if (texts.length === 2) return compare(embedder, embeddings, io);
    const shown: number[][] = [];
    for (const vector of embeddings) {
      await turnEventLoopWhenDue();
      signal.throwIfAborted();
      const numbers = rounded(vector);
      io.print(JSON.stringify(numbers));
      shown.push(numbers);
    }
    return { dimensions: embedder.model.width, embeddings: shown };
  },
});

async function refuseWrong({ model, adapter, text, input, output, query, overwrite }: EmbedSettings): Promise<void> {
  if (text.length > 0 && input.length > 0) throw new SettingsError("--text and --input are both given; give one");
  if (text.some((one) => one.trim() === "")) throw new SettingsError("--text: is empty; give a text, or leave it out");
  if (query?.trim() === "") throw new SettingsError("--query: is empty; give a text, or leave it out");
  if (output === undefined) return;
  if (query !== undefined) throw new SettingsError("--query shows what it finds; leave out --output, or --query");
  if (!/\.(npy|jsonl)$/.test(output)) {
    throw new SettingsError(`--output: ${output} ends neither in .npy nor in .jsonl; name it so`);
  }
  await refuseTakenOutput({
    command: "embed",
    sources: [model, ...adapter, ...input],
    output,
    kind: "file",
    overwrite,
  });
}

async function textsOf(settings: EmbedSettings, io: Io): Promise<readonly string[]> {
  const { text, input } = settings;
  if (text.length > 0) return text;
  const texts =
    input.length > 0
      ? await readNotingBad(settings, io, (bad) => readTexts(settings, bad))
      : linesOf(await readInput(io, "text", "--text or --input"));
  if (texts.length > 0) return texts;
  throw new SettingsError("there is no text in what was given; give --text, or --input with lines");
}

/** The lines of text files, and the texts in a column of others. */
async function readTexts({ input, column }: EmbedSettings, bad: BadRows): Promise<string[]> {
  const texts: string[] = [];
  for (const path of input) {
    if (/\.txt$/i.test(path)) for (const line of linesOf(await readTextFile(path))) texts.push(line);
    else {
      for await (const row of readRecords([path], bad)) {
        const text = bad.attempt(() => textOf(row, column));
        if (text !== undefined) texts.push(text);
      }
    }
  }
  bad.refuseNone(texts.length);
  return texts;
}

function textOf(row: JsonlRow, column: string): string {
  const text = stringColumn(row, column, "--column");
  if (text.trim() === "") throw columnError(row, column, "a text that is not empty");
  return text;
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== "");
}

async function embedAll(
  embedder: Embedder,
  texts: readonly string[],
  { prompt, promptName, batchSize }: EmbedSettings,
  signal: AbortSignal,
): Promise<Float32Array[]> {
  return embedTexts(embedder, texts, { prompt: prompt ?? null, promptName: promptName ?? null, batchSize, signal });
}

async function writeEmbeddings(
  output: string,
  texts: readonly string[],
  embeddings: readonly Float32Array[],
  signal: AbortSignal,
): Promise<void> {
  const isNumPy = output.endsWith(".npy");
  const pieces = isNumPy ? npyPieces(embeddings, embeddings[0]?.length ?? 0) : jsonLines(texts, embeddings);
  await writeFileAtomic(output, untilStopped(pieces, signal));
}

/** A line for each text. */
function* jsonLines(texts: readonly string[], embeddings: readonly Float32Array[]): Generator<Uint8Array> {
  for (const [i, vector] of embeddings.entries()) {
    yield Buffer.from(`${JSON.stringify({ text: texts[i], embedding: rounded(vector) })}\n`);
  }
}

function* untilStopped<Piece>(pieces: Iterable<Piece>, signal: AbortSignal): Generator<Piece> {
  for (const piece of pieces) {
    signal.throwIfAborted();
    yield piece;
  }
}

function sayWritten(output: string, embeddings: readonly Float32Array[], io: Io): object {
  const dimensions = embeddings[0]?.length ?? 0;
  io.print(`${embeddings.length} embeddings of ${dimensions} numbers in ${output}`);
  return { output, embeddings: embeddings.length, dimensions };
}

async function search(
  embedder: Embedder,
  query: string,
  texts: readonly string[],
  embeddings: readonly Float32Array[],
  { top, queryPrompt }: EmbedSettings,
  io: Io,
): Promise<object> {
  const { modules } = embedder.model;
  const choice = queryPrompt === undefined && modules.prompts.query !== undefined ? { promptName: "query" } : {};
  const asked = queryPrompt === undefined ? choice : { prompt: queryPrompt };
  const [vector = new Float32Array(0)] = await embedTexts(embedder, [query], asked);
  const found = nearestVectors(vector, embeddings, top, modules.similarity).map(({ index, similarity: value }) => ({
    text: texts[index],
    similarity: Number(value.toFixed(6)),
    index,
  }));
  for (const { text = "", similarity: value } of found) {
    io.print(`${value.toFixed(4).padStart(8)}  ${text.replaceAll(/\s+/g, " ")}`);
  }
  return { query, found };
}

function compare(embedder: Embedder, embeddings: readonly Float32Array[], io: Io): object {
  const name = embedder.model.modules.similarity;
  const [a = new Float32Array(0), b = new Float32Array(0)] = embeddings;
  const value = similarity(name, a, b);
  io.print(`${name} similarity ${value.toFixed(4)}`);
  return { similarity: value, dimensions: embedder.model.width, embeddings: embeddings.map(rounded) };
}

/** As many digits as a float32 has. */
function rounded(vector: Float32Array): number[] {
  return Array.from(vector, (x) => Number(x.toPrecision(9)));
}

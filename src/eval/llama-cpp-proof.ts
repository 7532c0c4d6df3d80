import type { Backend } from "../backend/kernels.ts";
import { openGguf } from "../checkpoint/gguf.ts";
import { loadGgufEncoder } from "../models/gguf/encoder.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadModel } from "../models/load.ts";
import { withoutGradients } from "../tensor/op.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import type { LlamaCppAnswer } from "./llama-cpp.ts";
import { askLlamaCpp } from "./llama-cpp.ts";

/** How far llama.cpp and Stemma agree on a GGUF file. */
export interface LlamaCppProof {
  /** What both read. */
  readonly text: string;
  readonly tokens: number;
  /** First token of the text in which they differ, or null. */
  readonly firstOtherToken: number | null;
  /** Root of the mean square by which logits of the next token differ, over their standard deviation. */
  readonly logitError: number;
  /** How far the two may be apart, by how the file's weights are stored. */
  readonly logitBound: number;
  /** How many tokens were continued, and how many of them are the same from the first on. */
  readonly continued: number;
  readonly sameContinued: number;
  /** By how many standard deviations llama.cpp's least likely choice is below the best one here. */
  readonly choiceShortfall: number;
  readonly agrees: boolean;
}

/** Beyond it, llama.cpp is taken to wait for ever. */
const timeLimitMs = 600_000;

/** Turns that any template takes, beyond ASCII. */
const conversation = [
  { role: "user", content: "Name three rivers of Europe." },
  { role: "assistant", content: "Danube, Rhône and Loire." },
  { role: "user", content: "Which one is the longest? 🙂" },
];

/**
 * Lets llama.cpp read a conversation that a GGUF file's own template writes, and compares what it makes of it with what Stemma
 * does with the same file: the ids, the logits of the next token, and the most probable continuation. Where two tokens are as
 * probable as each other up to rounding, either is right.
 *
 * @param llamaCpp - Where node-llama-cpp is, as {@link findLlamaCpp} says.
 * @throws {CheckpointError} when llama.cpp refuses the file, or does not answer in time.
 */
export async function proveGguf(path: string, backend: Backend, llamaCpp: string): Promise<LlamaCppProof> {
  const encoder = await loadGgufEncoder(path);
  const { text, ids } = await written(encoder);
  const theirs = await askLlamaCpp({ model: path, text, count: 24, timeLimitMs }, llamaCpp);
  const differing = ids.findIndex((id, i) => id !== theirs.ids[i]);
  const isSame = differing < 0 && ids.length === theirs.ids.length;
  const logitBound = await boundOf(path);
  const { model } = await loadModel(path, backend, "float32");
  const found = await compared(model, theirs);
  return {
    ...{ text, tokens: ids.length, logitBound, ...found },
    firstOtherToken: isSame
      ? null
      : Math.max(differing, Math.min(ids.length, theirs.ids.length) * Number(differing < 0)),
    agrees: isSame && found.logitError <= logitBound && found.choiceShortfall <= 4 * logitBound,
  };
}

/** A model without a template is asked to go on with plain text. */
async function written(encoder: ChatEncoder): Promise<{ readonly text: string; readonly ids: readonly number[] }> {
  if (encoder.template) {
    return { text: encoder.promptText(conversation), ids: [...encoder.encodePrompt(conversation)] };
  }
  const text = conversation.map(({ content }) => content).join("\n");
  return { text, ids: [...encoder.tokenizer.encode(text)] };
}

/**
 * llama.cpp is exact in float32 but for GELU, which it looks up in a table of float16; beside other weights it rounds what they
 * are multiplied by: to 16 bits, or to 8 for blocks.
 */
async function boundOf(path: string): Promise<number> {
  const file = await openGguf(path);
  await file.close();
  const dtypes = file.names().map((name) => file.info(name).dtype);
  if (dtypes.some((dtype) => /Q/.test(dtype))) return 0.15;
  return dtypes.some((dtype) => dtype.endsWith("F16")) ? 0.05 : 0.01;
}

/** Both sides on the ids that llama.cpp read. */
async function compared(model: LanguageModel, { ids, probabilities, continuation }: LlamaCppAnswer) {
  const all = [...ids, ...continuation.slice(0, -1)];
  const rows = await lastLogits(model, all, continuation.length);
  const spread = deviation(rows[0] ?? []);
  const shortfalls = continuation.map((id, step) => {
    const row = rows[step] ?? new Float32Array();
    return (row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY) - (row[id] ?? 0)) / deviation(row);
  });
  const firstOther = shortfalls.findIndex((shortfall) => shortfall > 0);
  return {
    logitError: deviation(differences(rows[0] ?? [], probabilities)) / spread,
    continued: continuation.length,
    sameContinued: firstOther < 0 ? continuation.length : firstOther,
    choiceShortfall: Math.max(...shortfalls),
  };
}

/** Logits less the logarithms of probabilities, which differ by one number for all where both say the same. */
function differences(logits: ArrayLike<number>, probabilities: readonly number[]): number[] {
  return probabilities.flatMap((probability, id) =>
    // Below it, float32 has no exact probability.
    probability > 1e-30 ? [(logits[id] ?? Number.NaN) - Math.log(probability)] : [],
  );
}

function deviation(values: ArrayLike<number>): number {
  const list = Array.from(values);
  const mean = list.reduce((sum, x) => sum + x, 0) / list.length;
  return Math.sqrt(list.reduce((sum, x) => sum + (x - mean) ** 2, 0) / list.length);
}

/** Logits after each of the last `count` tokens. */
async function lastLogits(model: LanguageModel, ids: readonly number[], count: number): Promise<Float32Array[]> {
  const hidden = withoutGradients(() =>
    model.forward(Tensor.from(model.backend, Int32Array.from(ids), [1, ids.length])),
  );
  const rows: Float32Array[] = [];
  for (let i = ids.length - count; i < ids.length; i++) {
    const logits = withoutGradients(() => model.logits(hidden.window(i * hidden.axis(2), [1, 1, hidden.axis(2)])));
    rows.push(await logits.floats());
    logits.release();
  }
  return rows;
}

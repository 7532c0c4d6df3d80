import { DataError, SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { paddedBatch } from "../data/padded-batch.ts";
import type { EmbeddingBatch, EmbeddingModel } from "../models/embedding-model.ts";
import type { SentenceModules } from "../models/sentence-modules.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { bounded, boundsOf } from "../text/text-bounds.ts";
import type { Embedder } from "./embedder.ts";
import { checkEmbedOptions } from "./generation-settings.ts";

/** What is put before a text. */
export interface PromptChoice {
  /** The text itself; null where a name says it. */
  readonly prompt?: string | null;
  /** Name of one of the model's own. */
  readonly promptName?: string | null;
}

/**
 * The text to put before texts: the given one, the model's own of a name, or its default.
 *
 * @throws {SettingsError} when the model has no prompt of the name, or both are given.
 */
export function promptOf({ prompts, defaultPrompt }: SentenceModules, choice: PromptChoice = {}): string {
  const { prompt = null, promptName = null } = choice;
  if (prompt !== null && promptName !== null) {
    throw new SettingsError("prompt: a text and a name are both given; give one of them");
  }
  if (prompt !== null) return prompt;
  const name = promptName ?? defaultPrompt;
  if (name === null) return "";
  const own = Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  if (own !== undefined) return own;
  const names = Object.keys(prompts).join(", ");
  throw new SettingsError(
    `prompt-name: the model has no prompt "${name}"; ${names ? `it has ${names}` : "it has none: give the text with --prompt"}`,
  );
}

/** A text as an embedding model reads it. */
export interface EmbeddingInput {
  readonly ids: Int32Array;
  /** Leading tokens that do not count in pooling. */
  readonly skipped: number;
  /** Tokens of the whole text, those that frame it included, whether it was cut or not. */
  readonly tokens: number;
}

/** The tokens of a text behind a prompt, framed as its tokenizer frames texts and cut to what fits. */
export function embeddingInput(
  {
    model: { modules },
    tokenizer,
    maxLength,
  }: Pick<Embedder, "tokenizer" | "maxLength"> & {
    readonly model: Pick<EmbeddingModel, "modules">;
  },
  text: string,
  prompt = "",
): EmbeddingInput {
  const whole = modules.lowerCases ? (prompt + text).toLowerCase() : prompt + text;
  const { before, behind } = boundsOf(tokenizer);
  // Text of strangers cannot forge the tokens that frame it.
  const own = tokenizer.encode(whole, { recognizeSpecialTokens: false });
  const frame = before.length + behind.length;
  const ids = bounded(tokenizer, own.subarray(0, Math.max(maxLength - frame, 0)));
  const tokens = own.length > maxLength - frame ? own.length + frame : ids.length;
  if (modules.includesPrompt || prompt === "") return { ids, tokens, skipped: 0 };
  const ofPrompt = tokenizer.encode(prompt, { recognizeSpecialTokens: false }).length + before.length;
  return { ids, tokens, skipped: Math.min(ofPrompt, ids.length - 1) };
}

/**
 * Tokens that every text is filled up to. Backends multiply a few rows in another order than many, which rounds otherwise:
 * with as many rows as this, a text's embedding has the same bits alone and among others.
 */
const leastTokens = 16;

/** Texts side by side; `context` is the most that the model reads. */
export function embeddingBatch(inputs: readonly EmbeddingInput[], context: number): EmbeddingBatch {
  return {
    ...paddedBatch(
      inputs.map(({ ids }) => ids),
      Math.min(leastTokens, context),
    ),
    skipped: Int32Array.from(inputs, ({ skipped }) => skipped),
  };
}

/** How texts are embedded. */
export interface EmbedOptions extends PromptChoice {
  /** Texts that go through the model at once; those of like length go together. Default 32. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
  /** Is told after each batch how many texts are done. */
  readonly onProgress?: (done: number) => void;
}

/**
 * Embeddings of texts, in their order.
 *
 * @throws {SettingsError} as {@link promptOf} does, and when an option is wrong or unknown, or texts are no list of texts.
 * @throws {DataError} naming the first text that has no tokens: nothing of it could be pooled.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function embedTexts(
  embedder: Embedder,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<Float32Array[]> {
  checkEmbedOptions(options);
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === "string")) {
    throw new SettingsError("embedTexts: texts must be a list of texts; give [text] for one");
  }
  const prompt = promptOf(embedder.model.modules, options);
  const inputs: EmbeddingInput[] = [];
  for (const text of texts) {
    await turnEventLoopWhenDue();
    options.signal?.throwIfAborted();
    const input = embeddingInput(embedder, text, prompt);
    inputs.push(input);
    if (input.ids.length > 0) continue;
    throw new DataError(`text ${inputs.length} of ${texts.length}: has no tokens, and so no embedding; leave it out`);
  }
  return embedInputs(embedder.model, inputs, options);
}

/** {@link embedTexts} of texts that are encoded already. */
export async function embedInputs(
  model: EmbeddingModel,
  inputs: readonly EmbeddingInput[],
  { batchSize = 32, signal, onProgress }: Omit<EmbedOptions, keyof PromptChoice> = {},
): Promise<Float32Array[]> {
  const order = [...inputs.keys()].sort((a, b) => (inputs[a]?.ids.length ?? 0) - (inputs[b]?.ids.length ?? 0));
  const vectors: Float32Array[] = [];
  for (let first = 0; first < order.length; first += batchSize) {
    signal?.throwIfAborted();
    const some = order.slice(first, first + batchSize);
    const batch = embeddingBatch(
      some.map((at) => inputs[at] as EmbeddingInput),
      model.body.model.settings.context,
    );
    const embedded = withoutGradients(() => tensorScope(() => model.forward(batch)));
    const values = await embedded.floats();
    const width = embedded.axis(1);
    embedded.release();
    for (const [row, at] of some.entries()) vectors[at] = values.slice(row * width, (row + 1) * width);
    onProgress?.(Math.min(first + batchSize, order.length));
  }
  return vectors;
}

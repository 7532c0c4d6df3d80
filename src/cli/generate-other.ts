import type { Backend } from "../backend/kernels.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import { loadTokenizerFor } from "../generate/assistant.ts";
import { fillIn } from "../generate/fill-in.ts";
import type { FinishReason } from "../generate/generate.ts";
import type { SamplingSettings } from "../generate/sampling.ts";
import { searchTexts, withoutStart, writeTexts } from "../generate/text-to-text.ts";
import type { EncoderFamily } from "../models/encoder-family.ts";
import { encoderNamed } from "../models/encoders.ts";
import type { Architecture } from "../models/family.ts";
import { otherFamilies } from "../models/index.ts";
import type { OpeningChoice } from "../models/load.ts";
import { loadModelOf, openModel } from "../models/load.ts";
import { loadTextToText } from "../models/load-text-to-text.ts";
import type { WeightChoice } from "../models/weight-choice.ts";
import { wholeText } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** What a model made of a prompt. */
export interface Continuation {
  readonly prompt: string;
  text: string;
  finishReason: FinishReason | null;
}

/** How models that are no decoders are asked. */
export interface OtherOptions {
  readonly sampling: SamplingSettings;
  readonly maxNewTokens: number;
  /** Beginnings that are kept while the likeliest text is looked for; 1 takes or samples token by token. */
  readonly beams: number;
  readonly lengthPenalty: number;
  readonly seed: number;
  /** Adapters that are added to the model. */
  readonly adapter?: readonly string[];
  /** How its matrices lie in memory; default: as the file has them. */
  readonly weights?: WeightChoice | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How one architecture is asked. */
export type Answerer = (
  folder: string,
  prompts: readonly string[],
  options: OtherOptions,
  backend: Backend,
) => Promise<{ continuations: Continuation[]; tokens: number }>;

/** What models that are no decoders make of prompts. */
export const otherAnswerers = {
  encoder: fillPrompts,
  "encoder-decoder": answerPrompts,
} satisfies Record<Exclude<Architecture, "decoder">, Answerer>;

function openingOf({
  adapter: adapters = [],
  weights = "stored",
}: OtherOptions): Pick<OpeningChoice, "adapters" | "weights"> {
  return { adapters, weights };
}

/** An encoder-decoder reads each prompt and writes a text of its own. */
async function answerPrompts(...[folder, prompts, options, backend]: Parameters<Answerer>): ReturnType<Answerer> {
  const { model } = await loadTextToText(folder, backend, openingOf(options));
  const tokenizer = await loadTokenizerFor(model, folder);
  const { endOfText } = model.settings;
  const texts = prompts.map((prompt) => wholeText(tokenizer, tokenizer.encode(prompt), endOfText));
  const { beams, lengthPenalty, sampling, seed, maxNewTokens, signal } = options;
  const common = { maxNewTokens, tokenizer, signal };
  const written =
    beams > 1
      ? await searchTexts(model, texts, { ...common, beams, lengthPenalty })
      : await writeTexts(model, texts, { ...common, sampling, seed });
  const continuations = prompts.map((prompt, i): Continuation => {
    const finishReason = written[i]?.ended ? "stop" : "length";
    return {
      prompt,
      text: tokenizer.decode(withoutStart(written[i]?.tokens ?? new Int32Array(0), model, tokenizer)),
      finishReason,
    };
  });
  return { continuations, tokens: written.reduce((sum, { tokens }) => sum + tokens.length, 0) };
}

/** An encoder fills in the masks of each prompt. */
async function fillPrompts(...[folder, prompts, options, backend]: Parameters<Answerer>): ReturnType<Answerer> {
  const { signal } = options;
  const family = await encoderIn(folder);
  const missing = { random: null, report: needsWords(family, folder) };
  const model = await loadModelOf(family.words, folder, backend, { missing, ...openingOf(options) });
  const tokenizer = await loadTokenizerFor(model, folder);
  const mask = maskOf(tokenizer, folder);
  const special = new Set(tokenizer.specialTokens.values());
  let tokens = 0;
  const continuations: Continuation[] = [];
  for (const prompt of prompts) {
    signal?.throwIfAborted();
    const { ids, typeIds } = tokenizer.frame(tokenizer.encode(prompt));
    const masks = ids.filter((id) => id === mask).length;
    if (ids.length > model.settings.context) {
      throw new SettingsError(
        `prompt: has ${ids.length} tokens with those around it, the model sees ${model.settings.context}; shorten it`,
      );
    }
    if (masks === 0) {
      throw new SettingsError(
        `prompt: ${JSON.stringify(prompt)} has no ${tokenizer.roles.mask} to fill in; an encoder continues nothing, take a decoder for that`,
      );
    }
    const filled = await fillIn(model, ids, typeIds, {
      mask,
      isWord: (id) => tokenizer.tokenOf(id) !== null && !special.has(id),
    });
    continuations.push({ prompt, text: tokenizer.decode(filled, { skipSpecialTokens: true }), finishReason: "stop" });
    tokens += masks;
  }
  return { continuations, tokens };
}

/** To fill in masks takes the head that names words, and neither the pooler nor the other head. */
function needsWords({ description }: EncoderFamily, folder: string): (lacking: readonly string[]) => void {
  const { className, words, wordsClass, modelType } = description;
  return (lacking) => {
    const [name] = lacking.filter((missing) => words.test(missing) && !missing.includes("seq_relationship"));
    if (name === undefined) return;
    const wanted = [...new Set(["ForMaskedLM", wordsClass])].map((head) => className + head).join(" or ");
    const canLearn = Object.values(otherFamilies).some((family) => family.modelType === modelType);
    const teach = canLearn ? `, or teach this one: stemma pretrain --model ${folder}` : "";
    throw new CheckpointError(
      `${folder}: has no head that names masked words (${name}); stemma embed makes vectors with it; to fill in masks take a folder of ${wanted}${teach}`,
    );
  };
}

/** What kind of encoder lies in a folder. */
async function encoderIn(folder: string): Promise<EncoderFamily> {
  const { config, close } = await openModel(folder);
  await close();
  const family = encoderNamed(config);
  if (family) return family;
  throw new CheckpointError(
    `${folder}: config.json has model_type ${JSON.stringify(config.model_type)}, which is no encoder`,
  );
}

function maskOf({ roles, specialTokens }: Tokenizer, folder: string): number {
  const id = specialTokens.get(roles.mask ?? "");
  if (id !== undefined) return id;
  throw new CheckpointError(
    `${folder}: its tokenizer has no mask token ([MASK] in tokenizer.json), so there is nothing to fill in; take the tokenizer that the model was trained with`,
  );
}

import type { Backend } from "../backend/kernels.ts";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import type { JsonObject } from "../files/json.ts";
import { encoderIn } from "../models/encoder-in.ts";
import type { ModelFamily, SpecialIds } from "../models/family.ts";
import { generationConfig } from "../models/generation-config.ts";
import type { LanguageModel, TextModel } from "../models/language-model.ts";
import { loadModel } from "../models/load.ts";
import { prefixKey, storedTensors } from "../models/read-model.ts";
import { resizeVocabulary } from "../models/resize-vocabulary.ts";
import type { RewardModel } from "../models/reward-model.ts";
import { rewardConfig, rewardTensors } from "../models/reward-model.ts";
import type { WeightChoice } from "../models/weight-choice.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../text/chat-template.ts";
import { chatTemplateFile } from "../text/chat-template-file.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { namedChatTemplate } from "../text/named-chat-template.ts";
import { paddingOf, withPadding } from "../text/padding.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";

/** A model with what it takes to talk to it. */
export interface Assistant {
  readonly model: LanguageModel;
  readonly family: ModelFamily;
  readonly encoder: ChatEncoder;
}

/**
 * Opens a model folder, or a GGUF file, with its tokenizer and chat template. A model without a template gets none: turns
 * are joined as they are.
 *
 * @param weights - How the model's matrices lie in memory; all but float32, the default, are frozen.
 * @param adapters - Folders of adapters that are added to the matrices; `FOLDER=0.5` adds half of the change.
 * @throws {CheckpointError} when a part is missing or damaged, or the model has fewer tokens than its tokenizer.
 */
export async function openAssistant(
  path: string,
  backend: Backend,
  weights: WeightChoice = "float32",
  adapters: readonly string[] = [],
): Promise<Assistant> {
  const encoder = await encoderIn(path);
  const { model, family } = await loadModel(path, backend, weights, adapters);
  refuseLarger(path, encoder.tokenizer, model);
  return { model, family, encoder };
}

/**
 * The tokenizer of a model folder or a GGUF file, without its model.
 *
 * @throws {CheckpointError} when it is missing or damaged.
 */
export async function tokenizerIn(path: string): Promise<Tokenizer> {
  return (await encoderIn(path)).tokenizer;
}

/**
 * The tokenizer in a model's folder.
 *
 * @throws {CheckpointError} when it is missing or damaged, or can give ids that the model does not know.
 */
export async function loadTokenizerFor(model: TextModel, path: string): Promise<Tokenizer> {
  const { tokenizer } = await encoderIn(path);
  refuseLarger(path, tokenizer, model);
  return tokenizer;
}

function refuseLarger(path: string, tokenizer: Tokenizer, { settings }: TextModel): void {
  if (tokenizer.vocabularySize <= settings.vocabularySize) return;
  throw new CheckpointError(
    `${path}: the tokenizer has ${tokenizer.vocabularySize} tokens, the model ${settings.vocabularySize}; ` +
      "they do not belong together, fetch both again",
  );
}

/** {@link openAssistant} to train it further: what follows pretraining is learned from left to right, by prefix models too. */
export async function openTrainee(
  path: string,
  backend: Backend,
  adapters: readonly string[] = [],
  weights: WeightChoice = "float32",
): Promise<Assistant> {
  const opened = await openAssistant(path, backend, weights, adapters);
  opened.model.readsPrefix = false;
  return opened;
}

/**
 * Gives an assistant another chat template, and room for special tokens it does not have yet.
 *
 * @param template - `chatml`, the path of a Jinja file, `none`, or null for the model's own, ChatML where it has none.
 * @param specialTokens - Beside those of ChatML, which come with it.
 */
export async function withTemplate(
  { model, family, encoder }: Assistant,
  template: string | null,
  specialTokens: readonly string[],
): Promise<Assistant> {
  const chosen = await chooseTemplate(template, encoder.template);
  const tokens = [...(chosen?.source === chatMl ? chatMlTokens : []), ...specialTokens];
  const tokenizer = tokens.length > 0 ? encoder.tokenizer.withSpecialTokens(tokens) : encoder.tokenizer;
  const isLarger = tokenizer.vocabularySize > model.settings.vocabularySize;
  const larger = isLarger ? await resizeVocabulary(family, model, tokenizer.vocabularySize) : model;
  return {
    family,
    model: larger,
    encoder: new ChatEncoder(tokenizer, chosen, encoder.folderIds),
  };
}

async function chooseTemplate(name: string | null, own: ChatTemplate | null): Promise<ChatTemplate | null> {
  if (name === "none") return null;
  return name === null ? (own ?? new ChatTemplate(chatMl, "chatml")) : namedChatTemplate(name);
}

/** The same encoder with a padding token that ends no answer, for models that are read at the end of one. */
export function withPaddingToken(encoder: ChatEncoder): ChatEncoder {
  const { tokenizer, template, folderIds } = encoder;
  return new ChatEncoder(withPadding(tokenizer, encoder.endTokens()), template, folderIds);
}

/** What the model folder of an assistant is made from. */
export function assistantContents({ model, family, encoder }: Assistant): ModelContents {
  const ids = specialIds(encoder);
  return {
    config: {
      ...(family.writeConfig(model.settings, ids) as JsonObject),
      ...(model.readsPrefix && { [prefixKey]: true }),
    },
    generationConfig: generationConfig(encoder.endTokens(), ids),
    tensors: storedTensors(family, model),
    extraFiles: chatFiles(encoder),
  };
}

/** What the model folder of a reward model is made from; its encoder is one {@link withPaddingToken}. */
export function rewardContents(family: ModelFamily, model: RewardModel, encoder: ChatEncoder): ModelContents {
  return {
    config: rewardConfig(family, model, specialIds(encoder), paddingOf(encoder.tokenizer)) as JsonObject,
    tensors: rewardTensors(family, model),
    extraFiles: chatFiles(encoder),
  };
}

function chatFiles({ tokenizer, template }: ChatEncoder): Record<string, string> {
  return { ...tokenizerFiles(tokenizer), ...(template ? { [chatTemplateFile]: template.source } : {}) };
}

function specialIds({ beginOfText, tokenizer: { endOfText } }: ChatEncoder): SpecialIds {
  return { beginOfText, endOfText };
}

/**
 * Makes sure that two models read the same tokens, by the numbers that these have: files may list them in any order. The
 * other may have special tokens more, such as a reward model's padding.
 *
 * @throws {SettingsError} naming both and the first difference.
 */
export function refuseOtherTokenizer(what: string, own: Tokenizer, other: Tokenizer, whose = "the policy"): void {
  const size = Math.max(own.vocabularySize, other.vocabularySize);
  let differs = 0;
  for (; differs < size; differs++) {
    const [one, another] = [own.tokenOf(differs), other.tokenOf(differs)];
    if (one !== another && !(one === null && other.specialTokens.has(another ?? ""))) break;
  }
  if (differs === size) return;
  const [one, another] = [own, other].map((tokenizer) => tokenizer.tokenOf(differs));
  const named = (token: string | null | undefined): string => (token == null ? "missing" : JSON.stringify(token));
  const detail = `token ${differs} is ${named(another)}, and ${named(one)} there`;
  throw new SettingsError(
    `${what}: has another tokenizer than ${whose} (${detail}); train it from the same model, so that both read the same tokens`,
  );
}

import type { ChatMessage } from "../text/chat-message.ts";
import { ApiError, wrongField } from "./api-error.ts";
import type { OpenedModel } from "./engine-messages.ts";
import { requestLimits } from "./limits.ts";
import type { ModelKind } from "./model-kind.ts";
import type { PromptText } from "./prompt-text.ts";
import type { Asked } from "./route.ts";
import type { ServedModel } from "./served-model.ts";

/** A model that a request asks, open. */
export interface AskedModel {
  readonly model: ServedModel;
  readonly opened: OpenedModel;
  readonly text: PromptText;
  /** Lets the model go; to be called when the request is over, and often enough at the end of {@link askModel}. */
  readonly release: () => void;
}

const remedies: Readonly<Record<ModelKind, string>> = {
  decoder: "it writes texts: ask /v1/completions or /v1/chat/completions",
  embedder: "it makes embeddings: ask /v1/embeddings",
  reward: "it is a reward model: ask /v1/score/evaluation",
};

/**
 * Asks the model that a request names, opened if it is not. It is kept open until `use` fails or lets it go.
 *
 * @throws {ApiError} 404 when there is none of that name, 400 when it is of another kind, 429 or 503 when it cannot be asked now.
 */
export async function askModel<Result>(
  { service, signal }: Pick<Asked, "service" | "signal">,
  name: string | null,
  kinds: ModelKind | readonly ModelKind[],
  use: (asked: AskedModel) => Promise<Result>,
): Promise<Result> {
  const model = service.models.get(name);
  if (![kinds].flat().includes(model.found.kind)) {
    throw wrongField("model", `model ${model.name} cannot answer this; ${remedies[model.found.kind]}`, "wrong_model");
  }
  model.queue.refuseIfFull();
  await model.refresh();
  const release = model.hold();
  try {
    const opened = await model.ready();
    const text = await model.text();
    signal.throwIfAborted();
    return await use({ model, opened, text, release });
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * Makes sure that all ids of a list are tokens of a model.
 *
 * @throws {ApiError} 400 naming the first that is none.
 */
export function refuseOtherIds(ids: readonly number[], vocabularySize: number, param: string): void {
  const outside = ids.findIndex((id) => id >= vocabularySize);
  if (outside < 0) return;
  const place = `${param}[${outside}]`;
  throw wrongField(place, `${place}: token ${ids[outside]} is outside the vocabulary of ${vocabularySize}`);
}

/**
 * Makes sure that a prompt leaves room for one token.
 *
 * @param needed - Places beside the prompt: 1, or 0 where nothing is to be generated.
 * @throws {ApiError} 400 `context_length_exceeded`.
 */
export function refuseLong(length: number, context: number, needed: number, param: string): void {
  if (length > context - needed) throw tooLong(param, length, context, { reads: withAnswer(context) });
}

/**
 * Makes sure that a text is worth being made into tokens. That takes about a second for some megabytes, in which nobody else
 * is answered, and ends with a refusal.
 *
 * @throws {ApiError} 400 `context_length_exceeded`.
 */
export function refuseLongText(characters: number, context: number, param: string): void {
  const { charactersOfToken } = requestLimits;
  const least = Math.ceil(characters / charactersOfToken);
  if (least <= context) return;
  const what = `has ${characters} characters, more than ${charactersOfToken} for each token`;
  throw tooLong(param, least, context, { what, reads: withAnswer(context) });
}

/**
 * Makes sure that a conversation is worth being written and made into tokens, as {@link refuseLongText} does.
 *
 * @throws {ApiError} 400 `context_length_exceeded`.
 */
export function refuseLongChat(messages: readonly ChatMessage[], context: number): void {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  refuseLongText(characters, context, "messages");
}

function withAnswer(context: number): string {
  return `the model reads ${context} with what it writes`;
}

/**
 * What is said of a field with more tokens than can be read.
 *
 * @param length - Its tokens.
 * @param context - Tokens that can be.
 * @param words - What it has, and what there is room for, where that is not the model's reading alone.
 */
export function tooLong(
  param: string,
  length: number,
  context: number,
  { what = `has ${length} tokens`, reads = `the model reads ${context}` } = {},
): ApiError {
  return new ApiError(400, `${param}: ${what}, ${reads}; shorten it`, {
    param,
    code: "context_length_exceeded",
    more: { n_prompt_tokens: length, n_ctx: context },
  });
}

/** Seconds since 1970. */
export function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

import { z } from "zod";
import type { AnswerForm } from "../answer-form.ts";
import { answerForm, formFields } from "../answer-form.ts";
import { ChatCompletion } from "../answers.ts";
import { unsupportedField, wrongField } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel, nowInSeconds, refuseLong, refuseLongChat } from "../asked-model.ts";
import { Messages, readMessages, written } from "../chat-messages.ts";
import { ChatText } from "../chat-text.ts";
import { notBuilt, optional, usually } from "../fields.ts";
import { Generation } from "../generation.ts";
import { requestLimits } from "../limits.ts";
import { newId } from "../new-id.ts";
import type { EncodedPrompt } from "../prompt-text.ts";
import type { Asked } from "../route.ts";
import { definePost } from "../route.ts";
import { streamAnswer, wholeAnswer } from "../send-answer.ts";
import { TextEvents } from "../text-events.ts";
import { endsOf, samplingOf, seedOf, stopsOf, writingFields } from "../writing-fields.ts";

const ChatRequest = z.object({
  ...writingFields,
  messages: Messages.describe("the conversation; a last message of the assistant is gone on with"),
  max_completion_tokens: optional(z.int().min(1)).describe(
    "tokens of an answer, at most; the room there is if left out",
  ),
  max_tokens: optional(z.int().min(1)).describe("the older name of max_completion_tokens"),
  logprobs: usually(z.boolean(), false).describe("whether log-probabilities of the tokens are given"),
  top_logprobs: optional(z.int().min(0).max(requestLimits.alternatives)).describe("and those of so many alternatives"),
  ...formFields,
  functions: notBuilt,
  function_call: notBuilt,
  audio: notBuilt,
  modalities: optional(z.array(z.string())).describe("text"),
});
type ChatRequest = z.output<typeof ChatRequest>;

/** `POST /v1/chat/completions`: says what comes next in a conversation. */
export const chatCompletions = definePost({
  path: "/v1/chat/completions",
  summary: "answer in a conversation",
  body: ChatRequest,
  answer: ChatCompletion,
  streams: true,
  async handle(asked: Asked<ChatRequest>) {
    refuseUnbuilt(asked.body);
    const messages = readMessages(asked.body.messages);
    return askModel(asked, asked.body.model, "decoder", async (opened) => {
      refuseLongChat(messages, opened.opened.context);
      const form = answerForm(asked.body, opened.text);
      const prompt = await written(opened.text.chat(messages, form.tools === null ? {} : { tools: form.tools }));
      asked.signal.throwIfAborted();
      return answer(asked, opened, prompt, form);
    });
  },
});

async function answer(
  asked: Asked<ChatRequest>,
  { model, opened, text, release }: AskedModel,
  prompt: EncodedPrompt,
  { grammar, style }: AnswerForm,
): Promise<Response> {
  const { body, service, owner } = asked;
  refuseLong(prompt.ids.length, opened.context, 1, "messages");
  const room = opened.context - prompt.ids.length;
  const alternatives = body.logprobs ? (body.top_logprobs ?? 0) : null;
  const task = {
    prompt: prompt.ids,
    copies: body.n,
    maxNewTokens: Math.min(body.max_completion_tokens ?? body.max_tokens ?? room, room),
    sampling: samplingOf(body, opened.vocabularySize),
    seed: seedOf(body),
    endTokens: endsOf(body, text),
    logprobs: alternatives,
    promptLogprobs: false,
    grammar,
  };
  const id = newId("chatcmpl");
  const generation = new Generation(model, [task], { owner, id }, service, release);
  const events = new TextEvents(generation, [prompt], stopsOf(body), task.endTokens);
  const head = {
    id,
    created: nowInSeconds(),
    model: model.name,
    system_fingerprint: model.fingerprint,
  };
  const form = new ChatText(text.tokens, { n: body.n, alternatives, tools: style }, head);
  return body.stream
    ? streamAnswer(asked, generation, events, form.chunks(events, body.stream_options?.include_usage ?? false))
    : wholeAnswer(asked, generation, () => form.whole(events));
}

function refuseUnbuilt(body: ChatRequest): void {
  const isEmpty = (value: unknown): boolean => value === undefined || value === null;
  for (const field of ["functions", "function_call"] as const) {
    if (!isEmpty(body[field])) throw unsupportedField(field, "is an older name; give tools and tool_choice");
  }
  if (!isEmpty(body.audio)) throw unsupportedField("audio", "this server writes text only; leave it out");
  if (body.modalities?.some((kind) => kind !== "text")) {
    throw unsupportedField("modalities", "this server writes text only; leave it out");
  }
  if (body.top_logprobs !== null && !body.logprobs) {
    throw wrongField("top_logprobs", "top_logprobs is given without logprobs; set logprobs to true");
  }
}

import { z } from "zod";
import { ModelKind } from "./model-kind.ts";

/** What answers hold, for the description of the interface and for their types. */

const Usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
});
/** Numbers of tokens. */
export type Usage = z.output<typeof Usage>;

const FinishReason = z.enum(["stop", "length"]);

const CompletionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
  text_offset: z.array(z.int()),
});
/** Log-probabilities of a completion: four lists with an entry for each token. */
export type CompletionLogprobs = z.output<typeof CompletionLogprobs>;

/** An answer of `/v1/completions`; in a stream, `finish_reason` is null but for the last piece of a choice. */
export const Completion = z.object({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      text: z.string(),
      logprobs: CompletionLogprobs.nullable(),
      finish_reason: FinishReason.nullable(),
    }),
  ),
  usage: Usage.nullable().exactOptional(),
});
export type Completion = z.output<typeof Completion>;

const Alternative = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() });
const ChatLogprobs = z.object({
  content: z.array(Alternative.extend({ top_logprobs: z.array(Alternative) })),
  refusal: z.null(),
});
/** Log-probabilities of a message, token by token. */
export type ChatLogprobs = z.output<typeof ChatLogprobs>;

const chatHead = {
  id: z.string(),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
} as const;

const ChatFinishReason = z.enum(["stop", "length", "tool_calls"]);
const Call = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

/** An answer of `/v1/chat/completions`. */
export const ChatCompletion = z.object({
  ...chatHead,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal("assistant"),
        /** Null where tools are called and nothing is said. */
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(Call).exactOptional(),
      }),
      logprobs: ChatLogprobs.nullable(),
      finish_reason: ChatFinishReason,
    }),
  ),
  usage: Usage,
});
export type ChatCompletion = z.output<typeof ChatCompletion>;

/** A piece of it, in a stream. */
export const ChatCompletionChunk = z.object({
  ...chatHead,
  object: z.literal("chat.completion.chunk"),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({
        role: z.literal("assistant").exactOptional(),
        content: z.string().exactOptional(),
        tool_calls: z.array(Call.extend({ index: z.int() })).exactOptional(),
      }),
      logprobs: ChatLogprobs.nullable(),
      finish_reason: ChatFinishReason.nullable(),
    }),
  ),
  usage: Usage.nullable().exactOptional(),
});
export type ChatCompletionChunk = z.output<typeof ChatCompletionChunk>;

/** A model in the list of models. */
export const ModelEntry = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.literal("stemma"),
  kind: ModelKind,
  /** Null until it has been opened. */
  max_model_len: z.int().nullable(),
});
export type ModelEntry = z.output<typeof ModelEntry>;

/** An answer of `/v1/models`. */
export const ModelList = z.object({ object: z.literal("list"), data: z.array(ModelEntry) });
export type ModelList = z.output<typeof ModelList>;

/** An answer of `/v1/embeddings`; the numbers are a list, or base64 of their float32 bytes. */
export const Embeddings = z.object({
  object: z.literal("list"),
  data: z.array(
    z.object({
      object: z.literal("embedding"),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
});

/** An answer of `/v1/score/evaluation`. */
export const Scores = z.object({
  id: z.string(),
  object: z.literal("score.evaluation"),
  model: z.string(),
  scores: z.array(z.number()),
});

/** Every answer that is not a success. */
export const Failure = z.object({
  error: z.looseObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

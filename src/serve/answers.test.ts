import type OpenAI from "openai";
import { expect, test } from "vitest";
import type { ChatCompletion, ChatCompletionChunk, Completion, ModelEntry } from "./answers.ts";

/** Compiles only where one type may stand for the other. */
type Fits<Own extends Theirs, Theirs> = Own;

/** That package knows neither of pieces that have not ended, nor that nothing precedes a first token. */
type Choice<Of> = Omit<Of, "finish_reason" | "logprobs">;

test("answers are what clients of OpenAI's expect", () => {
  const fits: [
    Fits<ChatCompletion, OpenAI.ChatCompletion>?,
    Fits<ChatCompletionChunk, OpenAI.ChatCompletionChunk>?,
    Fits<ModelEntry, OpenAI.Model>?,
    Fits<Choice<Completion["choices"][number]>, Choice<OpenAI.CompletionChoice>>?,
    Fits<Omit<Completion, "choices" | "usage">, Omit<OpenAI.Completion, "choices" | "usage">>?,
  ] = [];
  expect(fits).toEqual([]); // the compiler is the test
});

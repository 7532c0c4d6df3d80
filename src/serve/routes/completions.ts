import { z } from "zod";
import { Completion } from "../answers.ts";
import { unsupportedField, wrongField } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel, nowInSeconds, refuseLong, refuseLongText, refuseOtherIds } from "../asked-model.ts";
import type { GivenPrompt } from "../completion-text.ts";
import { CompletionText } from "../completion-text.ts";
import { notBuilt, optional, usually } from "../fields.ts";
import type { GenerationTask } from "../generation.ts";
import { Generation } from "../generation.ts";
import { eachText, givenTexts } from "../given-texts.ts";
import { requestLimits } from "../limits.ts";
import { newId } from "../new-id.ts";
import type { EncodedPrompt } from "../prompt-text.ts";
import type { Asked } from "../route.ts";
import { definePost } from "../route.ts";
import { streamAnswer, wholeAnswer } from "../send-answer.ts";
import { TextEvents } from "../text-events.ts";
import { endsOf, samplingOf, seedOf, stopsOf, writingFields } from "../writing-fields.ts";

const CompletionRequest = z.object({
  ...writingFields,
  prompt: usually(givenTexts(requestLimits.prompts), "").describe("what is to be gone on with"),
  max_tokens: usually(z.int().min(0), 16).describe("tokens of an answer, at most; 0 with echo scores the prompt alone"),
  logprobs: optional(z.int().min(0).max(requestLimits.alternatives)).describe(
    "log-probabilities of the tokens and of so many alternatives",
  ),
  echo: usually(z.boolean(), false).describe("whether the prompt stands before the answer"),
  best_of: optional(z.int().min(1).max(requestLimits.answers)).describe("answers of which the n likeliest are given"),
  suffix: notBuilt,
});
type CompletionRequest = z.output<typeof CompletionRequest>;

/** `POST /v1/completions`: goes on with texts. */
export const completions = definePost({
  path: "/v1/completions",
  summary: "go on with a text, or score one",
  body: CompletionRequest,
  answer: Completion,
  streams: true,
  async handle(asked: Asked<CompletionRequest>) {
    const { body } = asked;
    refuseUnfit(body);
    return askModel(asked, body.model, "decoder", (opened) => complete(asked, opened));
  },
});

async function complete(asked: Asked<CompletionRequest>, opened: AskedModel): Promise<Response> {
  const { body, service, owner } = asked;
  const { model, text, release } = opened;
  const prompts = promptsOf(body, opened);
  const tasks = prompts.map((prompt) => taskOf(prompt, body, opened));
  const id = newId("cmpl");
  const generation = new Generation(model, tasks, { owner, id }, service, release);
  const events = new TextEvents(generation, prompts, stopsOf(body), endsOf(body, text));
  const form = new CompletionText(prompts, text.tokens, body, {
    id,
    object: "text_completion",
    created: nowInSeconds(),
    model: model.name,
    system_fingerprint: model.fingerprint,
  });
  return body.stream
    ? streamAnswer(asked, generation, events, form.chunks(events))
    : wholeAnswer(asked, generation, () => form.whole(events));
}

function refuseUnfit({ suffix, best_of: bestOf, n, stream }: CompletionRequest): void {
  if (suffix !== undefined && suffix !== null) {
    throw unsupportedField("suffix", "texts are written from left to right only; leave it out");
  }
  if (bestOf === null) return;
  if (bestOf < n)
    throw wrongField("best_of", `best_of is ${bestOf}, fewer than n, which is ${n}; give at least as many`);
  if (stream && bestOf > n)
    throw wrongField("best_of", "best_of: which is best shows at the end; leave it out, or stream");
}

function promptsOf({ prompt, max_tokens: most }: CompletionRequest, { text, opened }: AskedModel): GivenPrompt[] {
  const { context, vocabularySize } = opened;
  return eachText(prompt, "prompt").map(({ text: given, param }): GivenPrompt => {
    if (typeof given === "string") {
      refuseLongText(given.length, context, param);
      const encoded = begunPrompt(given, text);
      refuseLong(encoded.ids.length, context, most === 0 ? 0 : 1, param);
      return { text: given, ...encoded };
    }
    refuseLong(given.length, context, most === 0 ? 0 : 1, param);
    refuseOtherIds(given, vocabularySize, param);
    return { text: null, ...text.ofIds(given) };
  });
}

/** A text without any token is gone on with as the beginning of one. */
function begunPrompt(prompt: string, text: AskedModel["text"]): EncodedPrompt {
  const encoded = text.completion(prompt);
  const { endOfText } = text.tokenizer;
  if (encoded.ids.length > 0) return encoded;
  if (endOfText === null) throw wrongField("prompt", "prompt: has no tokens; give it at least one character");
  return text.ofIds([endOfText]);
}

function taskOf({ ids }: EncodedPrompt, body: CompletionRequest, { opened, text }: AskedModel): GenerationTask {
  const { n, best_of: bestOf } = body;
  return {
    prompt: ids,
    copies: bestOf ?? n,
    maxNewTokens: Math.min(body.max_tokens, opened.context - ids.length),
    sampling: samplingOf(body, opened.vocabularySize),
    seed: seedOf(body),
    endTokens: endsOf(body, text),
    logprobs: body.logprobs ?? (bestOf !== null && bestOf > n ? 0 : null),
    promptLogprobs: body.echo && body.logprobs !== null,
    grammar: null,
  };
}

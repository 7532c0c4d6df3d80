import { z } from "zod";
import { ApiError } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel } from "../asked-model.ts";
import { Messages, readMessages, written } from "../chat-messages.ts";
import { optional } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import type { AnsweredPrompt } from "../prompt-text.ts";
import { inspect } from "../read-texts.ts";
import type { Asked } from "../route.ts";
import { defineRoute, json } from "../route.ts";
import { Rewards } from "./look-answers.ts";

const most = requestLimits.answers;
const RewardRequest = z.object({
  model: optional(z.string()).describe("name of a reward model; the first model where it is left out"),
  messages: Messages.describe("the conversation that is answered"),
  answers: z.array(z.string().max(requestLimits.lookedAt)).min(1).max(most).describe("answers to it"),
});
type RewardRequest = z.output<typeof RewardRequest>;

/** `POST /api/rewards` */
export const rewards = defineRoute({
  method: "POST",
  path: "/api/rewards",
  summary: "rewards of answers, and of each answer as far as each of its tokens",
  body: RewardRequest,
  answer: { type: "json", schema: Rewards },
  handle: (asked: Asked<RewardRequest>) =>
    askModel(asked, asked.body.model, "reward", async (opened) => {
      const { text } = opened;
      const messages = readMessages(asked.body.messages);
      const encoded: AnsweredPrompt[] = [];
      for (const [i, answer] of asked.body.answers.entries()) {
        const found = await written(text.answered(messages, answer));
        refuseLong(found.ids.length, opened, `answers[${i}]`);
        encoded.push(found);
      }
      const tokens = encoded.reduce((sum, { ids }) => sum + ids.length, 0);
      const questions = encoded.map(({ ids }) => ({ about: "rewards", ids }) as const);
      const found = await inspect<"rewards">(asked, opened, tokens, questions);
      return json({
        model: opened.model.name,
        answers: encoded.map(({ ids, start }, i) => ({
          score: found[i]?.at(-1) ?? 0,
          tokens: Array.from(ids.subarray(start), (id, t) => ({
            ...{ id, text: text.tokens.textOf(id), score: found[i]?.[start + t] ?? 0 },
          })),
        })),
      } satisfies Rewards);
    }),
});

function refuseLong(length: number, { opened: { context } }: AskedModel, param: string): void {
  if (length <= context) return;
  throw new ApiError(400, `${param}: has ${length} tokens with its prompt, the model reads ${context}; shorten it`, {
    ...{ param, code: "context_length_exceeded", more: { n_prompt_tokens: length, n_ctx: context } },
  });
}

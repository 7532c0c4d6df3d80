import { z } from "zod";
import { askModel, refuseLongChat, tooLong } from "../asked-model.ts";
import { Messages, readMessages, written } from "../chat-messages.ts";
import { rewardModelField } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import { inspect } from "../read-texts.ts";
import type { Asked } from "../route.ts";
import { definePost, json } from "../route.ts";
import { Rewards } from "./look-answers.ts";

const most = requestLimits.answers;
const RewardRequest = z.object({
  model: rewardModelField,
  messages: Messages.describe("the conversation that is answered"),
  answers: z.array(z.string().max(requestLimits.lookedAt)).min(1).max(most).describe("answers to it"),
});
type RewardRequest = z.output<typeof RewardRequest>;

/** `POST /api/rewards` */
export const rewards = definePost({
  path: "/api/rewards",
  summary: "rewards of answers, and of each answer as far as each of its tokens",
  body: RewardRequest,
  answer: Rewards,
  handle: (asked: Asked<RewardRequest>) =>
    askModel(asked, asked.body.model, "reward", async (opened) => {
      const { text } = opened;
      const { context } = opened.opened;
      const messages = readMessages(asked.body.messages);
      refuseLongChat(messages, context);
      const encoded = await written(text.answered(messages, asked.body.answers));
      for (const [i, { ids }] of encoded.entries()) {
        const what = `has ${ids.length} tokens with its prompt`;
        if (ids.length > context) throw tooLong(`answers[${i}]`, ids.length, context, { what });
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

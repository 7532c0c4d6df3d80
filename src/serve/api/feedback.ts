import { z } from "zod";
import { wrongField } from "../api-error.ts";
import { Messages, readMessages } from "../chat-messages.ts";
import { optional } from "../fields.ts";
import { defineGet, definePost, json } from "../route.ts";
import { FeedbackOffer, Kept } from "./feedback-answers.ts";
import { feedbackOf, SentId } from "./rankings.ts";

/** `GET /api/feedback` */
export const feedback = defineGet({
  path: "/api/feedback",
  summary: "where the server keeps what people say",
  answer: FeedbackOffer,
  handle({ service: { feedback: kept } }) {
    const files = kept && { rankings: kept.rankingsPath, conversations: kept.conversationsPath };
    return json({ files } satisfies FeedbackOffer);
  },
});

/** `POST /api/samples` */
export const addSample = definePost({
  path: "/api/samples",
  summary: "let answers from a chat be ranked",
  body: z.object({
    id: SentId.describe("names this set of answers; sent again, it is there once"),
    messages: Messages.describe("the conversation up to the answers"),
    completions: z.array(z.string().min(1)).min(2).max(9).describe("the answers"),
    models: optional(z.array(z.string().max(200))).describe("who wrote each of them"),
  }),
  answer: Kept,
  async handle({ service, body: { id, messages, completions, models } }) {
    if (new Set(completions).size < 2) throw wrongField("completions", "completions: all are the same; send others");
    if (models !== null && models.length !== completions.length) {
      throw wrongField("models", `models: has ${models.length} names for ${completions.length} answers`);
    }
    const turns = readMessages(messages);
    const [only, ...more] = turns;
    const prompt = only?.role === "user" && more.length === 0 ? only.content : turns;
    const kept = feedbackOf(service);
    await kept.addSample(id, { prompt, completions, ...(models === null ? {} : { models }) });
    return json({ path: kept.rankingsPath } satisfies Kept);
  },
});

/** `POST /api/conversations` */
export const addConversation = definePost({
  path: "/api/conversations",
  summary: "keep a conversation as an example to learn from",
  body: z.object({
    id: SentId.describe("names this version of the conversation; sent again, it is there once"),
    messages: Messages.describe("the conversation"),
  }),
  answer: Kept,
  async handle({ service, body: { id, messages } }) {
    const turns = readMessages(messages);
    if (turns.at(-1)?.role !== "assistant") {
      throw wrongField("messages", "messages: the last one must be the assistant's; there is nothing to learn else");
    }
    const kept = feedbackOf(service);
    await kept.addConversation(id, turns);
    return json({ path: kept.conversationsPath } satisfies Kept);
  },
});

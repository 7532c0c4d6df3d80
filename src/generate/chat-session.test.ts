import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../text/chat-template.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { ChatSession } from "./chat-session.ts";
import { SamplingSettings } from "./sampling.ts";

const tokenizer = trainByteLevelBpe(["hello user assistant system ".repeat(30)], { vocabularySize: 280 });
const encoder = new ChatEncoder(tokenizer.withSpecialTokens([...chatMlTokens]), new ChatTemplate(chatMl));
const shape = {
  vocabularySize: encoder.tokenizer.vocabularySize,
  context: 64,
  width: 8,
  layers: 1,
  heads: 1,
  dropout: 0,
};
const model = families.gpt2.create(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
const options = { system: "hello", sampling: SamplingSettings.parse({}), maxNewTokens: 8, seed: 1 };

async function all(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text;
}

const roles = (session: ChatSession): string[] => session.messages.map(({ role }) => role);

test("a turn and its answer join the conversation; a retry replaces the answer by another", async () => {
  const session = new ChatSession(model, encoder, options);
  const first = await all(session.say("hello"));
  expect(roles(session)).toEqual(["system", "user", "assistant"]);
  expect(session.messages.at(-1)?.content).toBe(first);
  const second = await all(session.retry());
  expect(roles(session)).toEqual(["system", "user", "assistant"]);
  expect(session.messages.at(-1)?.content).toBe(second);
  expect(second).not.toBe(first);
  expect(await all(new ChatSession(model, encoder, options).say("hello"))).toBe(first);
});

test("a long conversation goes on; all of it can be saved", async () => {
  const session = new ChatSession(model, encoder, options);
  for (let i = 0; i < 6; i++) await all(session.say(`hello ${i}`));
  expect(session.messages).toHaveLength(13);
});

test("a message too long for the context is refused and not remembered", async () => {
  const session = new ChatSession(model, encoder, options);
  await expect(all(session.say("x".repeat(99)))).rejects.toThrow(/this message has \d+ tokens, there is room for 56/);
  expect(roles(session)).toEqual(["system"]);
  await all(session.say("hello"));
  session.reset();
  expect(roles(session)).toEqual(["system"]);
  expect(await all(session.retry())).toBe("");
});

test("an answer that is cut short is kept as it is", async () => {
  const session = new ChatSession(model, encoder, options);
  for await (const piece of session.say("hello")) {
    expect(session.messages.at(-1)?.role).toBe("user");
    if (piece !== "") break;
  }
  expect(session.messages.at(-1)?.role).toBe("assistant");
});

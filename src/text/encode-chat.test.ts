import { expect, test } from "vitest";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "./chat-template.ts";
import { ChatEncoder } from "./encode-chat.ts";

const text = "the cat sat on the mat, user and assistant and system; what did the cat do? it sat.\n".repeat(9);
const tokenizer = trainByteLevelBpe([text], { vocabularySize: 300 }).withSpecialTokens(
  ["<|endoftext|>", ...chatMlTokens],
  {
    eos: "<|endoftext|>",
  },
);
const talk = [
  { role: "user", content: "what did the cat do?" },
  { role: "assistant", content: " it sat." },
  { role: "user", content: "on the mat?" },
  { role: "assistant", content: "the mat." },
];

test("the assistant's tokens are marked, its end mark included, and nothing else", () => {
  const { ids, isAnswer } = new ChatEncoder(tokenizer, new ChatTemplate(chatMl)).encode(talk);
  const runs = tokenizer.decode([...ids].map((id, i) => (isAnswer[i] ? id : tokenizer.idOf("<|endoftext|>")!)));
  expect(runs.split(/(?:<\|endoftext\|>)+/)).toEqual(["", " it sat.<|im_end|>", "the mat.<|im_end|>", ""]);
  expect(tokenizer.decode(ids)).toBe(new ChatTemplate(chatMl).render(talk));
});

test.each([new ChatTemplate(chatMl), null])("a prompt's ids are the beginning of the conversation's", (template) => {
  const encoder = new ChatEncoder(tokenizer, template);
  for (const turns of [1, 3]) {
    const prompt = encoder.encodePrompt(talk.slice(0, turns));
    const whole = encoder.encode(talk.slice(0, turns + 1));
    expect([...whole.ids.slice(0, prompt.length)]).toEqual([...prompt]);
    expect(whole.isAnswer[prompt.length]).toBe(1);
    expect(whole.isAnswer[prompt.length - 1]).toBe(0);
  }
});

test("what ends an answer", () => {
  const [, end] = chatMlTokens.map((token) => tokenizer.idOf(token)!);
  const endOfText = tokenizer.idOf("<|endoftext|>")!;
  expect(new ChatEncoder(tokenizer, new ChatTemplate(chatMl)).endTokens()).toEqual(new Set([endOfText, end]));
  expect(new ChatEncoder(tokenizer, null).endTokens()).toEqual(new Set([endOfText]));
});

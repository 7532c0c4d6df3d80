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

test("an answer of weight 0 is context, and tools reach the template", () => {
  const template = new ChatTemplate(
    "{% if tools %}{{ tools[0].name }};{% endif %}{% for m in messages %}{{ m.content }};{% endfor %}",
  );
  const turns = talk.map((turn, i) => (i === 1 ? { ...turn, weight: 0 } : turn));
  const learnt = (encoder: ChatEncoder): string => {
    const { ids, isAnswer } = encoder.encode(turns, { tools: [{ name: "find" }] });
    return tokenizer.decode(ids.filter((_, i) => isAnswer[i]));
  };
  expect(learnt(new ChatEncoder(tokenizer, template))).toBe("the mat.;");
  expect(learnt(new ChatEncoder(tokenizer, null))).toBe("the mat.<|endoftext|>");
  const prompt = new ChatEncoder(tokenizer, template).encodePrompt(talk.slice(0, 1), { tools: [{ name: "find" }] });
  expect(tokenizer.decode(prompt)).toBe("find;what did the cat do?;");
});

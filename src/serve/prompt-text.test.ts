import { expect, test } from "vitest";
import { encodeAnswer } from "../data/encoded-rankings.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { PromptText } from "./prompt-text.ts";

const tokenizer = trainByteLevelBpe(["the heaven and the earth, user assistant ".repeat(30)], { vocabularySize: 300 });
test("what a reward model is asked is what it learnt from", async () => {
  const encoder = new ChatEncoder(tokenizer.withSpecialTokens(["<|endoftext|>"]), null);
  const messages = [{ role: "user", content: "the heaven" }];
  const learnt = encodeAnswer({ where: "here", messages }, { role: "assistant", content: "and the earth" }, encoder);
  const text = await PromptText.of(encoder);
  const [asked] = await text.answered(messages, ["and the earth"]);
  expect([...(asked?.ids ?? [])]).toEqual([...learnt.prompt, ...learnt.answer]);
});

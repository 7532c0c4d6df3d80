import { expect, test } from "vitest";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../text/chat-template.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { BadRows } from "./bad-rows.ts";
import type { ChatRow } from "./chat-rows.ts";
import { batchOf, chatRows, encodeConversations, packRows, rowBatches } from "./chat-rows.ts";
import { encodePrompts } from "./encoded-rankings.ts";

function row(length: number, first = 0): ChatRow {
  const inputs = Int32Array.from({ length }, (_, i) => first + i);
  return {
    inputs,
    targets: inputs.map((id) => id + 1),
    positions: inputs.map((_, i) => i),
    firstKeys: new Int32Array(length),
    trained: length,
  };
}

test("packing fills rows, loses nothing, and keeps texts apart", () => {
  const lengths = [3, 7, 5, 2, 8, 1, 4];
  const packed = packRows(
    lengths.map((length, i) => row(length, 100 * i)),
    10,
  );
  expect(packed.map(({ inputs }) => inputs.length).sort()).toEqual([10, 10, 10]);
  const ids = packed.flatMap(({ inputs }) => [...inputs]).sort((a, b) => a - b);
  expect(ids).toEqual(lengths.flatMap((length, i) => Array.from({ length }, (_, j) => 100 * i + j)));
  for (const { inputs, positions, firstKeys } of packed) {
    inputs.forEach((id, i) => {
      expect(positions[i]).toBe(id % 100);
      expect(firstKeys[i]).toBe(i - (id % 100));
    });
  }
});

test("a batch is as wide as its longest row, and padding is not trained on", () => {
  const batch = batchOf([row(2, 5), row(3, 8)]);
  expect(batch).toMatchObject({ batch: 2, time: 3, trained: 5 });
  expect([...batch.targets]).toEqual([6, 7, -100, 9, 10, 11]);
  expect(batch.packing).toBeUndefined();
});

test("an epoch has every row once, in an order of its own, however a step is cut", () => {
  const rows = Array.from({ length: 12 }, (_, i) => row(1, i));
  const firsts = (microBatches: number, step: number): number[] =>
    rowBatches(rows, { batchSize: 4 / microBatches, microBatches, seed: 3 })(step).flatMap(({ inputs }) => [...inputs]);
  const epoch = (first: number): number[] => [0, 1, 2].flatMap((step) => firsts(1, first + step));
  expect(epoch(0).toSorted((a, b) => a - b)).toEqual([...rows.keys()]);
  expect(epoch(3).toSorted((a, b) => a - b)).toEqual([...rows.keys()]);
  expect(epoch(3)).not.toEqual(epoch(0));
  expect(firsts(4, 7)).toEqual(firsts(1, 7));
});

const tokenizer = trainByteLevelBpe(["ab ".repeat(50)], { vocabularySize: 258 }).withSpecialTokens([...chatMlTokens]);
const encoder = new ChatEncoder(tokenizer, new ChatTemplate(chatMl));
const talk = (answer: string): { where: string; messages: { role: string; content: string }[] } => ({
  where: "talks.jsonl, line 4",
  messages: [
    { role: "user", content: "a" },
    { role: "assistant", content: answer },
  ],
});

test("only what the assistant says is a target", async () => {
  const [only] = chatRows(await encodeConversations([talk("b")], encoder), 99, "error").rows;
  const targets = [...(only?.targets ?? [])].filter((target) => target >= 0);
  expect(tokenizer.decode(targets)).toBe("b<|im_end|>");
});

test("a conversation longer than the context is an error that names its row, or skipped, or cut", async () => {
  const long = talk("b".repeat(60));
  const alone = await encodeConversations([long], encoder);
  expect(() => chatRows(alone, 40, "error")).toThrow(/talks\.jsonl, line 4: the conversation has \d+ tokens, .* is 40/);
  expect(chatRows(await encodeConversations([talk("b"), long], encoder), 40, "skip")).toMatchObject({
    tooLong: 1,
    unlearnt: 0,
    rows: { length: 1 },
  });
  expect(chatRows(alone, 40, "truncate").rows[0]?.inputs.length).toBe(40);
  expect(() => chatRows(alone, 4, "truncate")).toThrow("none of 1 conversations fits a context of 4");
});

test("encoding lets others have their turn, and ends when it is told to", async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 1);
  const bad = new BadRows("error", stop.signal);
  const many = Array.from({ length: 200_000 }, () => talk("b"));
  await expect(encodeConversations(many, encoder, bad)).rejects.toThrow("enough");
  const prompts = encodePrompts(many, encoder, 1, { context: 40, longRows: "skip", bad });
  await expect(prompts).rejects.toThrow("enough");
});

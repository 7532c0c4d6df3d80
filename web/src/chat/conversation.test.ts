import { expect, test } from "vitest";
import type { Conversation, Turn } from "./conversation.ts";
import {
  branchesOf,
  merged,
  messagesOf,
  newestLeaf,
  pathTo,
  textBefore,
  textPieces,
  titleOf,
  usualSettings,
} from "./conversation.ts";

const turn = (id: string, parent: string | null, role: Turn["role"], content = id, version = 1): Turn => {
  return { id, parent, role, content, version };
};
const all = (...turns: Turn[]): Conversation => ({
  id: "c",
  changedAt: 5,
  turns: Object.fromEntries(turns.map((one) => [one.id, one])),
  panes: [{ model: "m", leaf: "d" }],
  settings: usualSettings,
});
// a: asked; b, c: two answers; d, then e: what was said to c
const tree = all(
  turn("a", null, "user", "First line\nsecond"),
  turn("b", "a", "assistant"),
  turn("c", "a", "assistant"),
  turn("d", "c", "user"),
  turn("e", "d", "assistant"),
);

test("a branch, its neighbours, and where it ends", () => {
  expect(pathTo(tree, "d").map(({ id }) => id)).toEqual(["a", "c", "d"]);
  expect(pathTo(tree, null)).toEqual([]);
  expect(branchesOf(tree, turn("x", "a", "assistant")).map(({ id }) => id)).toEqual(["b", "c"]);
  expect([newestLeaf(tree, "a"), newestLeaf(tree, "b")]).toEqual(["e", "b"]);
  expect(titleOf(tree)).toBe("First line");
  expect(messagesOf(pathTo(tree, "b"), "Be brief.")).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "First line\nsecond" },
    { role: "assistant", content: "b" },
  ]);
});

test("what two windows did is all there, of each turn the later version", () => {
  const mine = all(turn("a", null, "user"), turn("b", "a", "assistant", "whole", 3));
  const theirs = {
    ...all(turn("a", null, "user"), turn("b", "a", "assistant", "wh", 2), turn("x", "a", "assistant")),
    changedAt: 9,
  };
  const both = merged(mine, theirs);
  expect(Object.values(both.turns).map(({ content }) => content)).toEqual(["a", "whole", "x"]);
  expect(merged(theirs, mine).turns.b?.content).toBe("whole");
  expect([both.changedAt, both.panes]).toEqual([9, mine.panes]);
});

test("a character of several tokens is the last one's, and the text before a token has it whole", () => {
  const part = (...bytes: number[]) => ({ text: "\ufffd", bytes, logprob: -1, top: [] });
  const tokens = [
    { text: "a", logprob: -1, top: [] },
    part(0xe2, 0x82),
    part(0xac),
    { text: "b", logprob: -1, top: [] },
  ];
  expect(textPieces(tokens)).toEqual(["a", "", "€", "b"]);
  expect(textBefore(tokens, 3)).toBe("a€");
});

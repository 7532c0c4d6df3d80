import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BadRows } from "./bad-rows.ts";
import { readConversations } from "./conversations.ts";
import { readPrompts } from "./prompts.ts";
import { pairsOf, readRankings } from "./rankings.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-chat-"));
afterAll(() => rmSync(folder, { recursive: true }));
const parquet = (name: string): string => join(import.meta.dirname, "../../test/fixtures/parquet", name);
let files = 0;

function jsonl(...rows: readonly object[]): string[] {
  const path = join(folder, `${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return [path];
}

const user = (content: string): object => ({ role: "user", content });
const assistant = (content: string): object => ({ role: "assistant", content });
const messagesOf = async (...rows: readonly object[]): Promise<unknown> =>
  (await readConversations(jsonl(...rows)))[0]?.messages;

test.each<[string, object]>([
  ["messages", { messages: [user("Q"), assistant("A")] }],
  [
    "messages of content parts",
    { messages: [user("Q"), { role: "assistant", content: [{ type: "text", text: "A" }] }] },
  ],
  ["texts", { prompt: "Q", completion: "A" }],
  ["lists of messages", { prompt: [user("Q")], completion: [assistant("A")] }],
  ["alpaca", { instruction: "Q", input: "", output: "A" }],
  [
    "sharegpt",
    {
      conversations: [
        { from: "human", value: "Q" },
        { from: "gpt", value: "A" },
      ],
    },
  ],
])("%s", async (_, row) => {
  expect(await messagesOf(row)).toEqual([user("Q"), assistant("A")]);
});

test("alpaca's input, history and system", async () => {
  const row = { instruction: "Add.", input: "1 1", output: "2", system: "S", history: [["Hi", "Hello"]] };
  const expected = [
    { role: "system", content: "S" },
    user("Hi"),
    assistant("Hello"),
    user("Add.\n1 1"),
    assistant("2"),
  ];
  expect(await messagesOf(row)).toEqual(expected);
});

test("Parquet, nested and in row groups", async () => {
  const all = await readConversations([parquet("messages.parquet")]);
  expect(all.map(({ messages }) => messages[1]?.content)).toEqual(["Two.", "Four.", "Six, naïvely."]);
  expect(all[2]?.where).toMatch(/messages\.parquet, row 3$/);
  const [first, second] = await readRankings([parquet("rankings.parquet")]);
  expect([first?.ranks, second?.ranks]).toEqual([
    [1, 2, 3],
    [2, 1, 2],
  ]);
});

test("what Parquet cannot be read is said with the remedy", async () => {
  await expect(readConversations([parquet("zstd.parquet")])).rejects.toThrow(
    /zstd\.parquet: cannot be read as Parquet .*ZSTD/i,
  );
  await expect(readConversations([parquet("none.parquet")])).rejects.toThrow(
    "none.parquet: cannot read: it does not exist",
  );
});

test.each<[string, object[], RegExp]>([
  ["an unknown layout", [{ question: "Q" }], /line 1: has columns "question", which is none of .*"messages"/],
  [
    "mixed rows",
    [
      { prompt: "Q", completion: "A" },
      { instruction: "Q", output: "A" },
    ],
    /line 2: has no column "prompt", unlike the rows before it/,
  ],
  ["an empty completion", [{ prompt: "Q", completion: " " }], /line 1: column "completion": turn 2 is an empty answer/],
  ["an empty prompt", [{ prompt: "", completion: "A" }], /line 1: column "prompt" must be a prompt that is not empty/],
  [
    "a wrong type",
    [{ prompt: "Q", completion: 7 }],
    /line 1: column "completion" must be a text or a list of messages .* it is 7/,
  ],
  ["a broken message", [{ messages: [user("Q"), { role: "assistant" }] }], /column "messages" .*look at entry 2/],
  [
    "an unknown role",
    [{ messages: [user("Q"), { role: "robot", content: "A" }, assistant("A")] }],
    /line 1: column "messages" must be messages of the roles system, developer, user, assistant, tool, not "robot"/,
  ],
  [
    "an unknown role of ShareGPT",
    [{ conversations: [{ from: "robot", value: "Q" }] }],
    /column "conversations" must be messages of the roles system.* not "robot"/,
  ],
  ["no answer", [{ messages: [user("Q")] }], /column "messages" must be a conversation with at least one turn/],
])("%s names row and column", async (_, rows, message) => {
  await expect(readConversations(jsonl(...rows))).rejects.toThrow(message);
});

test("rankings: ranks with gaps, scores, and pairs with a margin", async () => {
  const [byRank] = await readRankings(jsonl({ prompt: "Q", completions: ["a", "b", "c"], ranks: [5, 1, 5] }));
  expect(byRank?.ranks).toEqual([2, 1, 2]);
  const [byScore] = await readRankings(jsonl({ prompt: "Q", completions: ["a", "b"], scores: [-1, 2.5] }));
  expect(byScore?.ranks).toEqual([2, 1]);
  const [pair] = await readRankings(jsonl({ prompt: "Q", chosen: "a", rejected: "b", margin: 0.5 }));
  expect(pair).toMatchObject({ answers: [assistant("a"), assistant("b")], ranks: [1, 2], margin: 0.5 });
  expect(pairsOf(byRank!).map(({ chosen, rejected }) => chosen.content + rejected.content)).toEqual(["ba", "bc"]);
});

test("scores beside ranks that agree with them, ties aside", async () => {
  const row = { prompt: "Q", completions: ["a", "b", "c"], ranks: [1, 2, 2], scores: [3, 3, 1] };
  expect((await readRankings(jsonl(row)))[0]?.ranks).toEqual([1, 2, 2]);
});

test("a glob gives the rows of all files it finds", async () => {
  const more = join(folder, "more");
  mkdirSync(more);
  for (const name of ["b", "a"]) {
    writeFileSync(join(more, `${name}.jsonl`), `${JSON.stringify({ prompt: name, completion: "A" })}\n`);
  }
  const all = await readConversations([join(more, "*.jsonl")]);
  expect(all.map(({ messages }) => messages[0]?.content)).toEqual(["a", "b"]);
  await expect(readConversations([join(more, "*.csv")])).rejects.toThrow(/no file matches this glob/);
});

test("pairs whose prompt is what both begin with", async () => {
  const talk = [user("Q"), assistant("x"), user("R")];
  const row = { chosen: [...talk, assistant("a")], rejected: [...talk, assistant("b")] };
  const [pair] = await readRankings(jsonl(row));
  expect(pair).toMatchObject({ prompt: talk, answers: [assistant("a"), assistant("b")] });
});

test.each<[string, object, RegExp]>([
  ["equal ranks", { prompt: "Q", completions: ["a", "b"], ranks: [1, 1] }, /column "ranks": all 2 are equal \(1\)/],
  ["one answer", { prompt: "Q", completions: ["a"], ranks: [1] }, /"completions" must be a list of at least 2 answers/],
  ["too few ranks", { prompt: "Q", completions: ["a", "b"], ranks: [1] }, /"ranks" must be a list of 2 numbers/],
  [
    "an empty answer",
    { prompt: "Q", completions: ["a", ""], ranks: [1, 2] },
    /"completions\[1\]" must be an answer that is not/,
  ],
  [
    "ranks and scores that contradict each other",
    { prompt: "Q", completions: ["a", "b", "c"], ranks: [2, 1, 3], scores: [0.1, 0.5, 0.3] },
    /line 1: columns "ranks" and "scores" contradict each other: completion 1 has the better rank, completion 3 the/,
  ],
  [
    "a negative margin",
    { prompt: "Q", chosen: "a", rejected: "b", margin: -1 },
    /"margin" must be a number that is not/,
  ],
  ["the same text twice", { prompt: "Q", chosen: "a", rejected: "a" }, /"chosen" and "rejected" are the same text/],
  [
    "texts without a prompt",
    { chosen: "a", rejected: "b" },
    /"chosen" must be a list of messages, or there must be a column "prompt"/,
  ],
])("a ranking with %s is refused", async (_, row, message) => {
  await expect(readRankings(jsonl(row))).rejects.toThrow(message);
});

test("prompts of any data set, each once", async () => {
  const rows = [
    { prompt: "Q", completions: ["a", "b"], ranks: [1, 2] },
    { prompt: "Q", completions: ["c", "d"], ranks: [1, 2] },
    { prompt: "R", completions: ["a", "b"], ranks: [1, 2] },
  ];
  expect((await readPrompts(jsonl(...rows))).map(({ messages }) => messages)).toEqual([[user("Q")], [user("R")]]);
  const [talk] = await readPrompts(jsonl({ messages: [user("Q"), assistant("A"), user("R"), assistant("B")] }));
  expect(talk?.messages).toEqual([user("Q"), assistant("A"), user("R")]);
});

test("keys that are null are absent, and tools stand beside the messages", async () => {
  const call = { function: { name: "find", arguments: { to: "Ulm", from: null } } };
  const [talk] = await readConversations(
    jsonl({
      messages: [
        { role: "user", content: "To Ulm?", name: null, tool_calls: null },
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", content: "9:10", tool_calls: null },
        { role: "assistant", content: "At ten past nine.", weight: 1 },
      ],
      ...{ prompt: null, completion: null, system: null },
      tools: JSON.stringify([{ type: "function", function: { name: "find" } }]),
      chat_template_kwargs: { enable_thinking: false },
    }),
  );
  expect(talk?.messages).toEqual([
    user("To Ulm?"),
    { ...assistant(""), tool_calls: [{ function: { name: "find", arguments: { to: "Ulm" } } }] },
    { role: "tool", content: "9:10" },
    { ...assistant("At ten past nine."), weight: 1 },
  ]);
  expect(talk?.variables).toEqual({
    tools: [{ type: "function", function: { name: "find" } }],
    enable_thinking: false,
  });
});

test.each<[string, object, string]>([
  [
    "weight",
    { messages: [user("Q"), { ...assistant("A"), weight: 0.5 }] },
    '"weight" is 0 (context only) or 1, not 0.5',
  ],
  ["train", { messages: [user("Q"), { ...assistant("A"), train: "no" }] }, '"train" is true or false, not "no"'],
  [
    "nothing to learn",
    { messages: [user("Q"), { ...assistant("A"), weight: 0 }] },
    "every turn of the assistant is context",
  ],
  ["tools", { messages: [user("Q"), assistant("A")], tools: "find" }, 'column "tools" must be a list of functions'],
])("%s that means nothing is refused", async (_, row, message) => {
  await expect(readConversations(jsonl(row))).rejects.toThrow(message);
});

test("rows that cannot be used are left out where that is asked for; of nothing but bad rows the first is named", async () => {
  const bad = new BadRows("skip");
  const good = { messages: [user("Q"), assistant("A")] };
  const rows = jsonl(good, { messages: [] }, { text: "x" }, good, { messages: [user("Q")] });
  expect(await readConversations(rows, bad)).toHaveLength(2);
  expect(bad.notes()[0]).toBe("left out 3 bad rows:");
  const none = readConversations(jsonl({ messages: [] }, { messages: [] }), new BadRows("skip"));
  await expect(none).rejects.toThrow(/all 2 rows are bad; the first: .*line 1: column "messages" must be a list/);
});

test("a row nested too deep is named, or left out by its line", async () => {
  const path = join(folder, "deep.jsonl");
  const good = JSON.stringify({ messages: [user("Q"), assistant("A")] });
  writeFileSync(path, `${good}\n{"messages":${"[".repeat(200_000)}${"]".repeat(200_000)}}\n`);
  const message = `${path}, line 2: is nested more than 200 deep; remove the row`;
  await expect(readConversations([path])).rejects.toThrow(message);
  const bad = new BadRows("skip");
  expect(await readConversations([path], bad)).toHaveLength(1);
  expect(bad.notes()).toEqual(["left out 1 bad row:", `  ${message}`]);
});

test("of a file that is missing its name's ending is not what is wrong", async () => {
  await expect(readConversations([join(folder, "nofile")])).rejects.toThrow(
    "nofile: cannot read: it does not exist; check the path",
  );
});

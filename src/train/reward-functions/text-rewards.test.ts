import { expect, test } from "vitest";
import type { RewardedAnswer, RewardFunction } from "./reward-function.ts";
import { schemaReward } from "./schema-reward.ts";
import { exactReward, patternReward } from "./text-rewards.ts";

const none = new Int32Array();
const answered = (completion: string, row: object = {}): RewardedAnswer => ({
  ...{ prompt: none, answer: none, question: "", where: "row 1" },
  ...{ completion, row: row as Record<string, unknown> },
});
const of = (reward: RewardFunction, ...answers: RewardedAnswer[]): Promise<number[]> => reward.rewards(answers);

test("an exact answer, a number or one of several, whatever white space is around it", async () => {
  const reward = exactReward(1, null);
  expect(
    await of(
      reward,
      answered(" 42\n", { answer: 42 }),
      answered("42.", { answer: "42" }),
      answered("b", { answer: ["a", "b"] }),
    ),
  ).toEqual([1, 0, 1]);
});

test("only what a pattern finds last is compared", async () => {
  const reward = exactReward(1, /#### (-?\d+)/);
  expect(
    await of(
      reward,
      answered("#### 3 no: #### 4", { answer: 4 }),
      answered("#### 4 no: #### 3", { answer: 4 }),
      answered("4", { answer: 4 }),
    ),
  ).toEqual([1, 0, 0]);
});

test("a pattern, again and again", async () => {
  const reward = patternReward(1, /^yes/su);
  expect(await of(reward, answered("yes"), answered("no"), answered("yes\nyes"))).toEqual([1, 0, 1]);
});

test("JSON as a schema says, with formats, in both drafts", async () => {
  const schema = { type: "object", required: ["date"], properties: { date: { type: "string", format: "date" } } };
  const answers = ['{"date":"2024-02-30"}', ' {"date":"2024-02-29"}\n', "{}", "date", '{"date":"2024-02-29"} ok'];
  const drafts = [schema, { ...schema, $schema: "https://json-schema.org/draft/2020-12/schema" }];
  for (const draft of drafts) {
    const reward = schemaReward(1, draft, "schema.json");
    expect(await of(reward, ...answers.map((text) => answered(text)))).toEqual([0, 1, 0, 0, 0]);
  }
});

test("what is no schema is refused", () => {
  expect(() => schemaReward(1, { type: "thing" }, "schema.json")).toThrow(/^schema\.json: is no JSON schema \(/);
  expect(() => schemaReward(1, { $ref: "https://example.com/x" }, "schema.json")).toThrow(/is no JSON schema/);
});

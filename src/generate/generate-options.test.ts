import { expect, expectTypeOf, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import type { GenerationOptions } from "./generate.ts";
import { generate } from "./generate.ts";

const { gpt2 } = families;
const sizes = { vocabularySize: 11, context: 8, width: 8, layers: 1, heads: 2, dropout: 0 };
const model = gpt2.create(gpt2.shaped(sizes), new Initializer(openReference(), new Random(2)));

async function tokensOf(options: Partial<GenerationOptions>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generate(model, [[1, 2]], { maxNewTokens: 6, seed: 3, ...options })) tokens.push(token);
  return tokens;
}

test("sampling is given in part, and is the model's own distribution without", async () => {
  expectTypeOf<{ temperature: number }>().toExtend<NonNullable<GenerationOptions["sampling"]>>();
  const complete = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
  expect(await tokensOf({})).toEqual(await tokensOf({ sampling: complete }));
  const greedy = { ...complete, temperature: 0 };
  expect(await tokensOf({ sampling: { temperature: 0 } })).toEqual(await tokensOf({ sampling: greedy }));
});

test("what sampling does not have is an error, for the compiler, too", async () => {
  const message = "sampling: has no setting temprature; did you mean temperature?";
  // @ts-expect-error a mistyped name
  await expect(tokensOf({ sampling: { temprature: 0 } })).rejects.toThrow(new SettingsError(message));
  await expect(tokensOf({ sampling: { topP: 0 } })).rejects.toThrow("sampling: topP must be more than 0, got 0");
});

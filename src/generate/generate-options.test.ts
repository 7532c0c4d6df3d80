import { expect, expectTypeOf, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { GenerationOptions } from "./generate.ts";
import { generate } from "./generate.ts";
import type { TextGenerationOptions } from "./generate-text.ts";
import { generateText } from "./generate-text.ts";

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

/** Not reached: options are looked at first. */
const tokenizer = {} as Tokenizer;

test.each<[object | undefined, string | RegExp]>([
  [undefined, /^\w+: must be a mapping$/],
  [{ seed: 1 }, "maxNewTokens is missing; it must be a number"],
  [{ seed: 1, maxTokens: 5 }, /maxNewTokens is missing; .*has no setting maxTokens; known are sampling, maxNewTokens,/],
  [{ seed: 1, maxNewToken: 5 }, "has no setting maxNewToken; did you mean maxNewTokens?"],
  [{ seed: 1, maxNewTokens: "5" }, 'maxNewTokens must be a number, got "5"'],
  [{ seed: 1, maxNewTokens: -3 }, "maxNewTokens must be more than 0, got -3"],
  [{ maxNewTokens: 5 }, "seed is missing; it must be a number"],
  [{ seed: 1.5, maxNewTokens: 5 }, "seed must be an integer, got 1.5"],
  [{ seed: 1, maxNewTokens: 5, batchSize: 0 }, "batchSize must be more than 0, got 0"],
  [{ seed: 1, maxNewTokens: 5, endTokens: [1] }, "endTokens: must be a Set of token ids"],
  [{ seed: 1, maxNewTokens: 5, signal: new AbortController() }, "signal: must be an AbortSignal"],
])("options %j are refused: %s", async (options, message) => {
  const given = options as GenerationOptions & TextGenerationOptions;
  for (const pieces of [
    generate(model, [[1, 2]], given),
    generateText(model, tokenizer, [Int32Array.of(1, 2)], given),
  ]) {
    const error = await pieces.next().then(null, (thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SettingsError);
    expect((error as Error).message).toMatch(message);
  }
});

test("options of text are refused at its door, and those of both kinds reach what they are for", async () => {
  const given = { maxNewTokens: 5, seed: 1 };
  const textOf = (more: object) => generateText(model, tokenizer, [Int32Array.of(1, 2)], { ...given, ...more }).next();
  await expect(textOf({ stopp: ["a"] })).rejects.toThrow(
    new SettingsError("generateText: has no setting stopp; did you mean stop?"),
  );
  await expect(textOf({ stop: "a" })).rejects.toThrow('generateText: stop must be a list, got "a"');
  expect(await tokensOf({ endTokens: new Set(Array(11).keys()) })).toHaveLength(1);
  expect(await tokensOf({ shouldStop: () => true, batchSize: 1 })).toHaveLength(1);
  expect(await tokensOf({ signal: undefined, tokenizer: undefined })).toHaveLength(6);
  await expect(tokensOf({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
});

test.each<[unknown, string]>([
  ["hi", "generate: prompts must be a list of lists of token ids, got a string; give [tokenizer.encode(text)]"],
  [
    Int32Array.of(1, 2),
    "generate: prompts must be a list of lists of token ids, got one Int32Array; give [tokenizer.encode(text)]",
  ],
  [["hi"], "generate: prompt 1 must be a list of token ids, got a string; give [tokenizer.encode(text)]"],
  [[[1], 2], "generate: prompt 2 must be a list of token ids, got a number; give [tokenizer.encode(text)]"],
  [undefined, "generate: prompts must be a list of lists of token ids, got undefined; give [tokenizer.encode(text)]"],
])("prompts %j are refused", async (prompts, message) => {
  const given = { maxNewTokens: 5, seed: 1 };
  const error = new SettingsError(message);
  await expect(generate(model, prompts as number[][], given).next()).rejects.toThrow(error);
  await expect(generateText(model, tokenizer, prompts as Int32Array[], given).next()).rejects.toThrow(error);
});

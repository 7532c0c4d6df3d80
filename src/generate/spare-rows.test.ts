import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { t5 } from "../models/encoder-decoders/t5.ts";
import { Gpt } from "../models/gpt.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { generate } from "./generate.ts";
import { SamplingSettings } from "./sampling.ts";
import { spareRows } from "./spare-rows.ts";
import { searchTexts, writeTexts } from "./text-to-text.ts";

const backend = openReference();
const shape = { vocabularySize: 40, context: 64, width: 16, layers: 1, heads: 2, dropout: 0 };
/** Three tokens with a gap between them; the other rows are spare. */
const tokenizer = { tokenOf: (id: number): string | null => ([2, 7, 8].includes(id) ? `t${id}` : null) };

test("spare rows are gaps in the ids and what lies beyond the last", () => {
  expect(spareRows(tokenizer, 11)).toEqual([0, 1, 3, 4, 5, 6, 9, 10]);
  expect(spareRows(undefined, 11)).toEqual([]);
});

test.each([
  { temperature: 0 },
  { temperature: 3 },
  { temperature: 3, topK: 5 },
  { temperature: 3, topP: 0.9, repetitionPenalty: 1.5 },
])("a decoder draws tokens only: %j", async (settings) => {
  const model = new Gpt(families.gpt2.shaped(shape), new Initializer(backend, new Random(1)));
  const sampling = SamplingSettings.parse(settings);
  const options = { sampling, maxNewTokens: 40, seed: 1, batchSize: 2 };
  const drawn = async (of: typeof tokenizer | undefined): Promise<number[]> => {
    const tokens: number[] = [];
    for await (const { token } of generate(model, [[2], [7]], { ...options, tokenizer: of })) tokens.push(token);
    return tokens;
  };
  expect(await drawn(tokenizer)).toHaveLength(80);
  expect((await drawn(tokenizer)).every((id) => tokenizer.tokenOf(id) !== null)).toBe(true);
  expect((await drawn(undefined)).some((id) => tokenizer.tokenOf(id) === null)).toBe(true);
});

test("so do an encoder-decoder and its search, with more beams than there are tokens", async () => {
  const model = t5.create({ ...t5.shaped(shape), endOfText: null } as never, new Initializer(backend, new Random(1)));
  const sampling = SamplingSettings.parse({ temperature: 5 });
  const written = await writeTexts(model, [[2, 7]], { sampling, maxNewTokens: 20, seed: 1, tokenizer });
  const found = await searchTexts(model, [[2, 7]], { beams: 6, lengthPenalty: 1, maxNewTokens: 8, tokenizer });
  const ids = [...written, ...found].flatMap(({ tokens }) => [...tokens]);
  expect(ids).toHaveLength(28);
  expect(ids.every((id) => tokenizer.tokenOf(id) !== null)).toBe(true);
});

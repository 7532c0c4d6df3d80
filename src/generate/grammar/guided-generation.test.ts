import { expect, test } from "vitest";
import { tokenizer } from "../../../test/small-model.ts";
import { openReference } from "../../backend/reference/index.ts";
import { DataError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { Gpt } from "../../models/gpt.ts";
import { families } from "../../models/index.ts";
import { Initializer } from "../../nn/parameters.ts";
import { Engine } from "../engine.ts";
import { generate } from "../generate.ts";
import { generateText } from "../generate-text.ts";
import type { EngineEvent, SequenceRequest } from "../sequence-request.ts";
import type { AnswerGrammar } from "./answer-grammar.ts";
import { matchersFor } from "./grammar-matcher.ts";

const shape = { vocabularySize: tokenizer.vocabularySize + 3, context: 64, width: 16, layers: 1, heads: 2, dropout: 0 };
const model = new Gpt(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
const schema = {
  type: "object",
  properties: { kind: { enum: ["a", "bc"] }, size: { type: "integer", minimum: 0, maximum: 99 } },
  required: ["kind", "size"],
  additionalProperties: false,
};
const grammar: AnswerGrammar = { kind: "json", schema };
const endTokens = new Set([tokenizer.endOfText ?? 0]);
const prompts = ["the", "In", "God"].map((text) => tokenizer.encode(text));
const options = { maxNewTokens: 60, seed: 3, endTokens, grammar, sampling: { temperature: 1.5, topK: 20 } };

test("continuations of a model that knows nothing match their grammar, and end with it", async () => {
  const texts = prompts.map(() => "");
  const ends = new Set<string>();
  for await (const { index, text, finish } of generateText(model, tokenizer, prompts, options)) {
    texts[index] += text;
    if (finish) ends.add(finish);
  }
  for (const text of texts) {
    const { kind, size, ...rest } = JSON.parse(text);
    expect([["a", "bc"].includes(kind), Number.isInteger(size) && size >= 0 && size <= 99, rest]).toEqual([
      true,
      true,
      {},
    ]);
  }
  expect(ends).toEqual(new Set(["stop"]));
});

test("a text that fills the context ends, rather than beginning its grammar anew", async () => {
  const strings: AnswerGrammar = { kind: "json", schema: { type: "string", minLength: 100 } };
  const found: (string | null)[] = [];
  const asked = { ...options, grammar: strings, maxNewTokens: 500 };
  for await (const { finish } of generateText(model, tokenizer, [prompts[0] as Int32Array], asked)) found.push(finish);
  expect(found.at(-1)).toBe("length");
  expect(found.length).toBeLessThanOrEqual(shape.context);
});

test("a grammar needs a tokenizer and tokens that end it", async () => {
  const first = async (more: object): Promise<unknown> => generate(model, prompts, { ...options, ...more }).next();
  await expect(first({})).rejects.toThrow("generate: a grammar needs the model's tokenizer; give that, too");
  await expect(first({ tokenizer, endTokens: new Set() })).rejects.toThrow(
    "a grammar needs tokens that end what matches",
  );
  await expect(first({ tokenizer, grammar: { kind: "json", schema: { not: {} } } })).rejects.toThrow(
    'JSON schema: #: the keyword "not" is not supported',
  );
});

test("a continuation that cannot go on fails alone", async () => {
  const guideOf = matchersFor(tokenizer, shape.vocabularySize);
  const stuck = {
    allowed: (): Int32Array => {
      throw new DataError("grammar: nothing can come next");
    },
    accept: (): void => {},
  };
  const engine = new Engine(model, {
    ...{ slots: 2, capacity: 64, tokenizer },
    guideOf: (asked, ends) => (asked.kind === "literal" ? stuck : guideOf(asked, ends)),
  });
  const request = (id: number, of: AnswerGrammar): SequenceRequest => ({
    ...{ id, prompt: prompts[0] as Int32Array, copies: 1, maxNewTokens: 50, seed: 1, endTokens: [...endTokens] },
    ...{ sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 }, owner: "" },
    ...{ logprobs: null, promptLogprobs: false, grammar: of },
  });
  try {
    engine.add(request(1, { kind: "literal", text: "x" }));
    engine.add(request(2, grammar));
    const events: EngineEvent[] = [];
    while (!engine.isIdle) events.push(...(await engine.step()));
    const failed = events.filter(({ type }) => type === "failed");
    expect(failed).toEqual([{ type: "failed", id: 1, message: "grammar: nothing can come next" }]);
    expect(events.at(-1)).toMatchObject({ type: "token", id: 2, finish: "stop" });
  } finally {
    engine.release();
  }
});

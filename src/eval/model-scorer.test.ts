import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { Engine } from "../generate/engine.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import { score } from "../generate/score.ts";
import { families } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Initializer } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { ModelScorer, rollingWindows } from "./model-scorer.ts";

const ignore = (): void => {};
let tokenizer: Tokenizer;
let model: LanguageModel;
let scorer: ModelScorer;

beforeAll(() => {
  const text = "the sky is blue and the grass is green. what colour has the sky? blue green red\n".repeat(10);
  tokenizer = trainByteLevelBpe([text], { vocabularySize: 300 }).withSpecialTokens(["<|endoftext|>"], {
    eos: "<|endoftext|>",
  });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 24, width: 16, layers: 2, heads: 2, dropout: 0 };
  const settings = { ...families.gpt2.shaped(shape), initializerRange: 0.3 };
  model = families.gpt2.create(settings, new Initializer(openReference(), new Random(1)));
  scorer = new ModelScorer(model, tokenizer, { name: "tiny", batchTokens: 64, seed: 1 });
});

const questions = [
  { context: "the sky is", continuations: [" blue", " green and red", " grass"] },
  { context: "", continuations: ["blue", "the sky"] },
  { context: "what colour has the grass? ", continuations: ["green", "blue"] },
  { context: "the sky is blue and the grass is green. ".repeat(4), continuations: ["blue", "red and green"] },
];

test("a context read once for all choices gives what each choice alone gives", async () => {
  const alone = new ModelScorer(model, tokenizer, { name: "tiny", batchTokens: 64, seed: 1, sharePrefix: false });
  const [a, b] = [await scorer.likelihoods(questions, ignore), await alone.likelihoods(questions, ignore)];
  expect(a.map((own) => own.map(({ isGreedy }) => isGreedy))).toEqual(
    b.map((own) => own.map(({ isGreedy }) => isGreedy)),
  );
  const values = (all: typeof a): number[] => all.flat().map(({ logProb }) => logProb);
  expectClose(values(a), values(b), { absolute: 1e-4, relative: 0 });
  expect(new Set(values(a)).size).toBe(9);
  expect(alone.cutRequests).toBe(1);
});

test("a likelihood is that of the tokens behind the context", async () => {
  const [found] = await scorer.likelihoods(questions.slice(0, 1), ignore);
  const context = tokenizer.encode("the sky is");
  const { logProbs } = await score(model, tokenizer.encode("the sky is blue"));
  const expected = logProbs.slice(context.length).reduce<number>((sum, value) => sum + (value ?? 0), 0);
  expect(found?.[0]?.logProb).toBeCloseTo(expected, 4);
});

test("what an engine says of the same tokens, as servers do, is the same to the last bit", async () => {
  const engine = new Engine(model, { slots: 2, capacity: 24 });
  const asked = questions.slice(0, 3).flatMap(({ context, continuations }) =>
    continuations.map((continuation) => {
      const before = tokenizer.encode(context === "" ? "<|endoftext|>" : context.trimEnd());
      const whole = tokenizer.encode(context === "" ? `<|endoftext|>${continuation}` : context + continuation);
      return { prompt: [...whole], from: before.length };
    }),
  );
  for (const [id, { prompt }] of asked.entries()) {
    engine.add({
      ...{ id, prompt, copies: 1, maxNewTokens: 0, sampling: SamplingSettings.parse({}), seed: 1, endTokens: [] },
      ...{ logprobs: 1, promptLogprobs: true, owner: "", grammar: null },
    });
  }
  const served: number[] = [];
  while (!engine.isIdle) {
    for (const event of await engine.step()) {
      if (event.type !== "prompt") continue;
      const own = event.tokens.slice(asked[event.id]?.from);
      served[event.id] = own.reduce((sum, token) => sum + (token?.logprob ?? Number.NaN), 0);
    }
  }
  engine.release();
  const found = await scorer.likelihoods(questions.slice(0, 3), ignore);
  expect(found.flat().map(({ logProb }) => logProb)).toEqual(served);
});

test("an answer longer than the model reads is refused, as its parts would be scored with more ease than the whole", async () => {
  const long = [{ context: "the sky", continuations: [" blue", " green and red".repeat(20)] }];
  await expect(scorer.likelihoods(long, ignore)).rejects.toThrow(
    /answer "green and red.*" has \d+ tokens, tiny reads 24/,
  );
});

test("every token of a long text is predicted once, by windows as long as the context", () => {
  const ids = Int32Array.from({ length: 23 }, (_, i) => i);
  const windows = rollingWindows(ids, 99, 10);
  expect(windows.flatMap(({ continuation }) => [...continuation])).toEqual([...ids]);
  expect(windows.map(({ context, continuation }) => context.length + continuation.length - 1)).toEqual([10, 10, 10]);
  expect([...(windows[0]?.context ?? [])]).toEqual([99]);
  expect([...(windows[2]?.context ?? [])]).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
});

test("texts are scored whole", async () => {
  const text = "the sky is blue.";
  const ids = [tokenizer.endOfText ?? 0, ...tokenizer.encode(text)];
  const { loss } = await score(model, ids);
  const [sum] = await scorer.textLikelihoods([text], ignore);
  expect(sum).toBeCloseTo(-loss * (ids.length - 1), 3);
});

test("texts are continued up to a stop", async () => {
  const sampling = SamplingSettings.parse({ temperature: 0 });
  const request = { context: "the sky", maxNewTokens: 6, sampling };
  const [whole = ""] = await scorer.continuations([{ ...request, until: [] }], ignore);
  const stop = whole.slice(2, 4);
  const [cut] = await scorer.continuations([{ ...request, until: [stop] }], ignore);
  expect(cut).toBe(whole.slice(0, whole.indexOf(stop)));
});

import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { gpt2 } from "../models/gpt-families.ts";
import { Initializer } from "../nn/parameters.ts";
import type { EngineOptions } from "./engine.ts";
import { Engine } from "./engine.ts";
import { generate } from "./generate.ts";
import { score } from "./score.ts";
import type { EngineEvent, SequenceRequest } from "./sequence-request.ts";
import { planStep } from "./step-plan.ts";

const shape = { vocabularySize: 23, context: 64, width: 16, layers: 1, heads: 2, dropout: 0 };
const model = gpt2.create(gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
const prompt = Array.from({ length: 30 }, (_, i) => (7 * i) % 23);
const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

const newEngine = (options: Partial<EngineOptions> = {}): Engine =>
  new Engine(model, { slots: 2, capacity: 64, ...options });

const ask = (change: Partial<SequenceRequest>): SequenceRequest => ({
  ...{ id: 0, prompt, copies: 1, maxNewTokens: 5, sampling, seed: 1, endTokens: [] },
  ...{ logprobs: null, promptLogprobs: false, owner: "a", grammar: null },
  ...change,
});

async function runAll(engine: Engine): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  while (!engine.isIdle) events.push(...(await engine.step()));
  return events;
}

const tokensOf = (events: readonly EngineEvent[], id: number, copy = 0): number[] =>
  events.flatMap((event) =>
    event.type === "token" && event.id === id && event.copy === copy ? event.token.token : [],
  );

/** What generate makes of the same prompt, whose copies have the same seed. */
async function expectedTokens(copies: number, own: readonly number[] = prompt): Promise<number[][]> {
  const found: number[][] = Array.from({ length: copies }, () => []);
  const prompts = Array.from({ length: copies }, () => [...own]);
  for await (const { index, token } of generate(model, prompts, { maxNewTokens: 5, seed: 1, batchSize: 1 })) {
    found[index]?.push(token);
  }
  return found;
}

test("copies go on from a prompt that is read once, each by draws of its own", async () => {
  const engine = newEngine({ slots: 3 });
  engine.add(ask({ copies: 3 }));
  const events = await runAll(engine);
  const expected = await expectedTokens(3);
  expect([0, 1, 2].map((copy) => tokensOf(events, 0, copy))).toEqual(expected);
  expect(new Set(expected.map(String)).size).toBe(3);
  expect(events.filter(({ type }) => type === "started")).toEqual([{ type: "started", id: 0, cachedTokens: 0 }]);
  expect(engine.state()).toMatchObject({ slotsBusy: 0, waiting: 0, promptTokens: 30, generatedTokens: 15 });
});

test("a prompt that begins like one that was read before reads the rest, for the same owner only", async () => {
  const engine = newEngine();
  engine.add(ask({ id: 1 }));
  const answer = tokensOf(await runAll(engine), 1);
  const longer = [...prompt, ...answer, 3, 4];
  engine.add(ask({ id: 2, prompt: longer }));
  engine.add(ask({ id: 3, prompt: longer, owner: "b" }));
  const events = await runAll(engine);
  expect(events.filter(({ type }) => type === "started")).toEqual([
    { type: "started", id: 2, cachedTokens: 34 }, // the answer's last token was never read
    { type: "started", id: 3, cachedTokens: 0 },
  ]);
  const [expected] = await expectedTokens(1, longer);
  expect([tokensOf(events, 2), tokensOf(events, 3)]).toEqual([expected, expected]);
});

test("a prompt's log-probabilities are those that score finds, with the likeliest of each place", async () => {
  const engine = newEngine();
  engine.add(ask({ id: 1, maxNewTokens: 0, logprobs: 2, promptLogprobs: true }));
  const [, event, ...more] = await runAll(engine);
  if (event?.type !== "prompt") throw new Error("the prompt's log-probabilities did not come");
  expect([more.length, event.tokens.length, event.tokens[0]]).toEqual([0, 30, null]);
  const { logProbs } = await score(model, prompt);
  for (const [i, scored] of event.tokens.entries()) {
    if (!scored) continue;
    expect(scored.token).toBe(prompt[i]);
    expect(scored.logprob).toBeCloseTo(logProbs[i] ?? Number.NaN, 5);
    expect(scored.top).toHaveLength(2);
    const [first, second] = scored.top.map(({ logprob }) => logprob);
    expect(first).toBeGreaterThanOrEqual(second ?? 0);
    const own = scored.top.find(({ token }) => token === scored.token);
    if (own) expect(own.logprob).toBe(scored.logprob);
  }
});

test("nothing is heard of what was cancelled: waiting, reading, decoding, or one copy of several", async () => {
  const engine = newEngine();
  engine.add(ask({ id: 1 }));
  engine.add(ask({ id: 2, copies: 2 }));
  engine.add(ask({ id: 3 }));
  await engine.step();
  engine.cancel(3);
  engine.cancel(2, 0);
  const under = engine.step();
  engine.cancel(1);
  const events = [...(await under), ...(await runAll(engine))];
  expect(events.some((event) => event.id === 1 || event.id === 3)).toBe(false);
  expect(tokensOf(events, 2, 0)).toEqual([]);
  expect(tokensOf(events, 2, 1)).toEqual((await expectedTokens(2))[1]);
  expect(engine.state()).toMatchObject({ slotsBusy: 0, waiting: 0 });
});

test("owners take turns for slots; those of one come in order", async () => {
  const engine = newEngine({ slots: 1 });
  for (const id of [1, 2, 3]) engine.add(ask({ id }));
  engine.add(ask({ id: 4, owner: "b" }));
  const started = (await runAll(engine)).flatMap((event) => (event.type === "started" ? event.id : []));
  expect(started).toEqual([1, 4, 2, 3]);
});

test("a bias, penalties and a guide decide what comes; an end token ends", async () => {
  const engine = newEngine({
    slots: 3,
    guideOf: (grammar, [end = 0]) => ({
      allowed: () => Int32Array.of(1 << (grammar.kind === "literal" ? grammar.text.length : end)),
      accept: () => {},
    }),
  });
  const greedy = { ...sampling, temperature: 0 };
  engine.add(ask({ id: 1, sampling: { ...greedy, logitBias: { 9: 100 } } }));
  engine.add(ask({ id: 2, sampling: { ...greedy, logitBias: { 9: 100, 8: 99.5, 7: 99 }, presencePenalty: 50 } }));
  engine.add(ask({ id: 3, grammar: { kind: "literal", text: "eleven char" }, endTokens: [11] }));
  const events = await runAll(engine);
  expect(tokensOf(events, 1)).toEqual([9, 9, 9, 9, 9]);
  expect(tokensOf(events, 2).slice(0, 3)).toEqual([9, 8, 7]);
  expect(events.filter((event) => event.id === 3 && event.type === "token")).toEqual([
    { type: "token", id: 3, copy: 0, token: { token: 11, logprob: null, top: [] }, finish: "stop" },
  ]);
});

test("who waits for what may come next keeps nobody waiting, and then says the same", async () => {
  const allowed = Int32Array.of((1 << 5) | (1 << 6) | (1 << 7));
  const guided = async (waits: number): Promise<EngineEvent[][]> => {
    let left = waits;
    const prepare = (): boolean => left-- <= 0;
    const engine = newEngine({ slots: 2, guideOf: () => ({ prepare, allowed: () => allowed, accept: () => {} }) });
    engine.add(ask({ id: 1, grammar: { kind: "literal", text: "x" }, endTokens: [22] }));
    engine.add(ask({ id: 2 }));
    const steps: EngineEvent[][] = [];
    while (!engine.isIdle) steps.push(await engine.step());
    return steps;
  };
  const [ready, late] = [await guided(0), await guided(3)];
  const firstOf = (steps: EngineEvent[][], id: number): number =>
    steps.findIndex((events) => events.some((event) => event.id === id && event.type === "token"));
  expect([firstOf(ready, 1), firstOf(ready, 2)]).toEqual([0, 0]);
  expect([firstOf(late, 1), firstOf(late, 2)]).toEqual([3, 0]);
  for (const id of [1, 2]) expect(tokensOf(late.flat(), id)).toEqual(tokensOf(ready.flat(), id));
});

test.each([
  [{ id: 7 }, "a request with the id 7 is under way"],
  [{ prompt: [] }, "the prompt has no tokens"],
  [{ prompt: [23] }, "token 23 of the prompt is outside the model's vocabulary of 23"],
  [{ maxNewTokens: 36 }, "30 tokens and 36 new ones need 65 positions, a slot has 64"],
  [{ maxNewTokens: -1 }, "maxNewTokens is -1"],
  [{ copies: 0 }, "0 continuations were asked for"],
  [{ sampling: { ...sampling, logitBias: { 99: 1 } } }, "token 99 of logitBias is outside"],
  [{ grammar: { kind: "literal", text: "yes" } }, "nothing is known here about grammars"],
] as const)("a request that can't be is refused: %j", (change, message) => {
  const engine = newEngine();
  engine.add(ask({ id: 7 }));
  expect(() => engine.add(ask(change))).toThrow(SettingsError);
  expect(() => engine.add(ask(change))).toThrow(message);
});

test("a step takes a token of all who decode, and of prompts what the others can wait for", () => {
  const decodes = { tokens: 1, isReading: false };
  const reads = (tokens: number) => ({ tokens, isReading: true });
  expect(planStep([reads(900)], false)).toEqual([512]);
  expect(planStep([reads(300), reads(300)], false)).toEqual([300, 212]);
  expect(planStep([decodes, reads(100), decodes, reads(100)], false)).toEqual([1, 100, 1, 28]);
  expect(planStep([...Array(200).fill(decodes), reads(100)], false).at(-1)).toBe(56);
  expect(planStep([decodes, reads(900), reads(9)], true)).toEqual([1, 900, 0]);
});

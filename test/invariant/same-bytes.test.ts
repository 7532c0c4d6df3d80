import { describe, expect, test } from "vitest";
import { openNative } from "../../src/backend/native/index.ts";
import { Random } from "../../src/core/random.ts";
import { Engine } from "../../src/generate/engine.ts";
import type { EngineEvent, SequenceRequest } from "../../src/generate/sequence-request.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { families } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { Initializer } from "../../src/nn/parameters.ts";

const shape = { vocabularySize: 331, context: 900, width: 288, layers: 2, heads: 4, dropout: 0 };
const capacity = 620;

const samplings = [
  { temperature: 0 },
  { temperature: 1 },
  { temperature: 1.5, topK: 20 },
  { temperature: 1, topP: 0.8 },
  { temperature: 0.9, minP: 0.05 },
  { temperature: 1, repetitionPenalty: 1.4, presencePenalty: 0.5, frequencyPenalty: 0.3, logitBias: { 3: 2 } },
];

/** Requests of all kinds of settings; every third prompt begins like others do, and one is longer than a pass takes. */
function requestsOf(count: number): SequenceRequest[] {
  const reader = new Random(5).reader();
  const words = (length: number): number[] => Array.from({ length }, () => reader.integer(shape.vocabularySize));
  const common = words(40);
  return Array.from({ length: count }, (_, id) => ({
    ...{ id, copies: 1, maxNewTokens: 9, seed: id, endTokens: [], logprobs: 3, promptLogprobs: id % 5 === 0 },
    prompt: id === 2 ? words(600) : [...(id % 3 === 0 ? common : []), ...words(1 + reader.integer(60))],
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, ...samplings[id % samplings.length] },
    ...{ owner: "a", grammar: null },
  }));
}

/** What an engine says to some requests, each of which comes a step after the one before. */
async function answers(model: LanguageModel, slots: number, requests: readonly SequenceRequest[]) {
  const engine = new Engine(model, { slots, capacity });
  const heard = new Map<number, EngineEvent[]>(requests.map(({ id }) => [id, []]));
  const coming = [...requests];
  while (coming.length > 0 || !engine.isIdle) {
    const next = coming.shift();
    if (next) engine.add(next);
    for (const event of await engine.step()) if (event.type !== "started") heard.get(event.id)?.push(event);
  }
  engine.release();
  return heard;
}

describe.each(["gpt2", "llama", "gemma3", "mixtral", "lstm"] as const)("%s", (name) => {
  test("an answer is the same, to the last bit of its log-probabilities, alone and among sixteen others", async () => {
    const { backend } = openNative({ threads: 2 });
    if (!backend) throw new Error("the native backend is not built");
    const family: ModelFamily = families[name];
    const model = family.create(family.shaped(shape), new Initializer(backend, new Random(1)));
    const requests = requestsOf(20);
    const together = await answers(model, 17, requests);
    for (const request of requests) {
      const alone = await answers(model, 1, [request]);
      expect(together.get(request.id)).toEqual(alone.get(request.id));
    }
  });
});

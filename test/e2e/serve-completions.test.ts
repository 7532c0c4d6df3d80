import { expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { score } from "../../src/generate/score.ts";
import { loadModel } from "../../src/models/load.ts";
import { tokenizer } from "../small-model.ts";
import { serveSmallModels } from "./served-folder.ts";

const { at, server, openai } = await serveSmallModels();

const prompt = "In the beginning";
const ask = { model: "writer", prompt, max_tokens: 12, seed: 5 };

test("the prompt's log-probabilities are those of the model, and add up to the text", async () => {
  const { choices, usage } = await openai.completions.create({ ...ask, echo: true, logprobs: 3 });
  const [{ text = "", logprobs = null, finish_reason: finish } = {}] = choices;
  const {
    tokens = [],
    token_logprobs: values = [],
    top_logprobs: top = [],
    text_offset: offsets = [],
  } = logprobs ?? {};
  const ids = tokenizer.encode(prompt);
  const { model } = await loadModel(at("writer"), openReference());
  const expected = await score(model, ids);
  expect(values.slice(0, ids.length).map((value) => value ?? 0)).toEqual(
    expected.logProbs.map((value) => expect.closeTo(value ?? 0, 4)),
  );
  expect([values[0], top[0]]).toEqual([null, null]);
  expect(text.startsWith(prompt)).toBe(true);
  expect([values.length, top.length, offsets.length]).toEqual([tokens.length, tokens.length, tokens.length]);
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    expect(Object.keys(top[i] ?? {}).length).toBeLessThanOrEqual(4);
    if (`${tokens[i - 1]}${tokens[i]}`.includes("\ufffd")) continue; // parts of characters look alike
    expect(top[i]?.[tokens[i] ?? ""]).toBe(value); // the same number, bit for bit
    const isEnd = finish === "stop" && i === tokens.length - 1;
    expect(
      [...text]
        .slice(offsets[i])
        .join("")
        .startsWith(isEnd ? "" : (tokens[i] ?? "x")),
    ).toBe(true);
  }
  expect(usage).toMatchObject({
    prompt_tokens: ids.length,
    total_tokens: ids.length + (usage?.completion_tokens ?? 0),
  });
});

test("with max_tokens 0 a prompt is scored alone, as lm_eval's gguf does", async () => {
  const body = { prompt, max_tokens: 0, echo: true, logprobs: 1 };
  const { status, body: answer } = await server.post("/v1/completions", body);
  expect([status, answer.choices[0].text, answer.usage.completion_tokens]).toEqual([200, prompt, 0]);
  expect(answer.choices[0].logprobs.tokens).toHaveLength(tokenizer.encode(prompt).length);
});

test("prompts of all four forms; choices come prompt by prompt", async () => {
  const ids = [...tokenizer.encode(prompt)];
  for (const given of [prompt, [prompt], ids, [ids]]) {
    const { choices } = await openai.completions.create({ ...ask, prompt: given, temperature: 0 });
    expect(choices[0]?.text).toBe((await openai.completions.create({ ...ask, temperature: 0 })).choices[0]?.text);
  }
  const { choices } = await openai.completions.create({ ...ask, prompt: ["the", "God"], n: 3, echo: true });
  expect(choices.map(({ index, text }) => [index, text.slice(0, 3)])).toEqual(
    [0, 1, 2, 3, 4, 5].map((index) => [index, index < 3 ? "the" : "God"]),
  );
});

test("a seed decides what is said, and each of n says something else", async () => {
  const texts = async (more: object) =>
    (await openai.completions.create({ ...ask, ...more })).choices.map(({ text }) => text);
  const [first] = await texts({});
  expect(await texts({})).toEqual([first]);
  expect(await texts({ seed: 6 })).not.toEqual([first]);
  const several = await texts({ n: 4 });
  expect(several[0]).toBe(first);
  expect(new Set(several).size).toBe(4);
});

test("a stream says what the whole answer says, log-probabilities included", async () => {
  const request = { ...ask, n: 2, echo: true, logprobs: 2, stop: ["th", "\ufffd\ufffd"], max_tokens: 40 };
  const whole = await openai.completions.create(request);
  const texts = ["", ""];
  const offsets: number[][] = [[], []];
  const ends: (string | null)[] = [null, null];
  const stream = await openai.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  let usage: unknown;
  for await (const chunk of stream) {
    for (const { index, text, logprobs, finish_reason: finish } of chunk.choices) {
      texts[index] += text;
      offsets[index]?.push(...(logprobs?.text_offset ?? []));
      ends[index] = finish;
    }
    usage = chunk.usage;
  }
  expect(texts).toEqual(whole.choices.map(({ text }) => text));
  expect(offsets).toEqual(whole.choices.map(({ logprobs }) => logprobs?.text_offset));
  expect(ends).toEqual(whole.choices.map(({ finish_reason: finish }) => finish));
  expect(usage).toEqual({ ...whole.usage, prompt_tokens_details: { cached_tokens: expect.any(Number) } });
});

test("a stop ends a text before itself", async () => {
  const plain = (await openai.completions.create({ ...ask, max_tokens: 30 })).choices[0]?.text ?? "";
  const stop = plain.slice(5, 8);
  const { choices } = await openai.completions.create({ ...ask, max_tokens: 30, stop });
  expect(choices[0]).toMatchObject({ text: plain.slice(0, plain.indexOf(stop)), finish_reason: "stop" });
});

test("best_of gives the likeliest", async () => {
  const all = await openai.completions.create({ ...ask, n: 4, logprobs: 0 });
  const mean = ({ logprobs }: (typeof all.choices)[number]): number => {
    const values = logprobs?.token_logprobs ?? [];
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const best = all.choices.toSorted((a, b) => mean(b) - mean(a))[0];
  expect((await openai.completions.create({ ...ask, best_of: 4 })).choices.map(({ text }) => text)).toEqual([
    best?.text,
  ]);
});

test("settings of sampling count", async () => {
  const id = tokenizer.encode("G")[0] ?? 0;
  const biased = await openai.completions.create({ ...ask, logit_bias: { [id]: 100 }, max_tokens: 5 });
  expect(biased.choices[0]?.text).toBe("GGGGG");
  const penalised = await server.post("/v1/completions", {
    ...ask,
    ...{ temperature: 0, logit_bias: { [id]: 1.9 }, presence_penalty: 2, frequency_penalty: 2, max_tokens: 3 },
  });
  expect(penalised.body.choices[0].text).not.toBe("GGG");
});

test("an answer says the same alone as among others, however it is sampled", async () => {
  const settings = [
    {},
    { temperature: 0 },
    { temperature: 0.7, top_p: 0.9 },
    { top_k: 20, min_p: 0.01 },
    { repetition_penalty: 1.3, presence_penalty: 0.5, frequency_penalty: 0.5 },
    { logit_bias: { 5: 2 }, n: 2 },
  ];
  const requests = Array.from({ length: 12 }, (_, i) => ({
    ...{ prompt: prompt.slice(0, 3 + i).repeat(1 + (i % 5)), seed: i, max_tokens: 10 + i },
    ...settings[i % settings.length],
  }));
  const said = async (body: object): Promise<string[]> =>
    (await server.post("/v1/completions", body)).body.choices.map(({ text }: { text: string }) => text);
  const alone: string[][] = [];
  for (const request of requests) alone.push(await said(request));
  expect(await Promise.all(requests.map(said))).toEqual(alone);
});

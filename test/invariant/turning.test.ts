import type { Server } from "node:http";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { Random } from "../../src/core/random.ts";
import { generateText } from "../../src/generate/generate-text.ts";
import { SamplingSettings } from "../../src/generate/sampling.ts";
import { score } from "../../src/generate/score.ts";
import { families } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { Initializer, parameters } from "../../src/nn/parameters.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { train } from "../../src/train/train.ts";
import { shape, tokenizer } from "../small-model.ts";

/** More than any machine does before a timer of a few milliseconds fires: only the timer can end these tests. */
const forever = 1e9;

function newModel(): LanguageModel {
  const small = { ...shape, width: 8, layers: 1, heads: 1 };
  return families.gpt2.create(families.gpt2.shaped(small), new Initializer(openReference(), new Random(1)));
}

const text = tokenizer.encode("In the beginning");
const writing = { sampling: SamplingSettings.parse({}), maxNewTokens: forever, seed: 1 };

test("training lets timers fire, and ends when one aborts its signal", async () => {
  const model = newModel();
  const weights = parameters(model);
  const batch = { inputs: text, targets: text, batch: 1, time: text.length };
  const saved: number[] = [];
  const run = {
    ...{ model, objective: nextTokenLoss, batches: () => [{ batch, share: 1, tokens: text.length }] },
    optimizer: new AdamW(weights, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }),
    ...{ schedule: () => 1e-4, maxGradientNorm: 1, seed: 1, steps: forever },
    ...{ evaluateEvery: 0, sampleEvery: 0, saveEvery: 0, evaluate: async () => ({}), sample: async () => {} },
    save: async (step: number) => void saved.push(step),
    log: () => {},
  };
  const stop = new AbortController();
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    if (ticks === 3) stop.abort();
  }, 5);
  const { step, interrupted } = await train(run, 0, stop.signal);
  clearInterval(timer);
  expect(interrupted).toBe(true);
  expect(ticks).toBeGreaterThanOrEqual(3);
  expect(step).toBeGreaterThan(0);
  expect(saved).toEqual([step]);
});

test("writing text lets timers fire, and ends with the reason of its signal", async () => {
  const pieces: string[] = [];
  const write = async (): Promise<void> => {
    const options = { ...writing, signal: AbortSignal.timeout(20) };
    for await (const { text: piece } of generateText(newModel(), tokenizer, [text], options)) pieces.push(piece);
  };
  await expect(write()).rejects.toMatchObject({ name: "TimeoutError" });
  expect(pieces.length).toBeGreaterThan(0);
});

test("scoring a long text ends with the reason of its signal", async () => {
  const long = new Int32Array(1e6).fill(text[0] ?? 0);
  await expect(score(newModel(), long, AbortSignal.timeout(20))).rejects.toMatchObject({ name: "TimeoutError" });
});

let server: Server;
let isOver: Promise<string>;
beforeAll(async () => {
  let tellEnd = (_: string): void => {};
  isOver = new Promise((resolve) => (tellEnd = resolve));
  server = createServer(async (_, response) => {
    const left = new AbortController();
    response.on("close", () => left.abort(new Error("the client left")));
    response.writeHead(200, { "content-type": "text/plain" });
    try {
      const options = { ...writing, signal: left.signal };
      for await (const piece of generateText(newModel(), tokenizer, [text], options)) response.write(`${piece.text}.`);
      tellEnd("written to the end");
    } catch (error) {
      tellEnd(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => void server.close());

test("a server sends its first token while it writes the others, and notices that its client has left", async () => {
  const { port } = server.address() as AddressInfo;
  const request = get({ port, host: "127.0.0.1" });
  const first = await new Promise<string>((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      response.setEncoding("utf8").once("data", resolve);
      response.on("error", () => {}); // it is cut off below
    });
  });
  expect(first).toMatch(/\./);
  request.destroy();
  expect(await Promise.race([isOver, after(15_000, "it writes on", { ref: false })])).toBe("the client left");
});

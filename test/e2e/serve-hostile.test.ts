import type { Socket } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import type { RunningServer } from "./running-server.ts";
import { until } from "./running-server.ts";
import { serveSmallModels } from "./served-folder.ts";

const { folder, at, server } = await serveSmallModels();

const prompt = "In the beginning";
const long = { prompt, max_tokens: 490, ignore_eos: true };
const question = { prompt, max_tokens: 12, seed: 5 };

/** A request as it goes over the wire; `length` is what its head says of its body. */
function wire(path: string, body: object, length?: number): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length ?? text.length}\r\n\r\n${text}`;
}

async function underWay(one: RunningServer): Promise<number> {
  const names = ["slots_busy", "requests_running", "requests_waiting"];
  return (await Promise.all(names.map((name) => one.metric(name)))).reduce((sum, number) => sum + number, 0);
}

async function textOf(one: RunningServer, body: object = question): Promise<string> {
  const answer = await one.post("/v1/completions", body);
  expect(answer.status).toBe(200);
  return answer.body.choices[0].text;
}

test("a body that comes byte by byte is read, and others are answered meanwhile", async () => {
  const expected = await textOf(server);
  const bytes = wire("/v1/completions", question);
  const socket = server.open(bytes.slice(0, -60));
  let answer = "";
  socket.on("data", (data: string) => {
    answer += data;
  });
  for (const byte of bytes.slice(-60, -1)) {
    socket.write(byte);
    await after(5);
  }
  expect(await textOf(server)).toBe(expected);
  expect([answer, await underWay(server)]).toEqual(["", 0]);
  socket.write(bytes.slice(-1));
  await until(() => answer.includes("\r\n\r\n{"));
  expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))).choices[0].text).toBe(expected);
  socket.destroy();
});

test("a body that breaks off is an end; one that grows too large without saying so is refused", async () => {
  const broken = server.open(wire("/v1/completions", question, 1000));
  await after(50);
  broken.end();
  expect(await textTo(broken)).toMatch(/^(HTTP\/1.1 400 .*)?$/s);
  const head =
    "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  const endless = server.open(head);
  const chunk = `${(2 ** 20).toString(16)}\r\n${" ".repeat(2 ** 20)}\r\n`;
  const answer = textTo(endless);
  for (let i = 0; i < 6 && endless.writable; i++) endless.write(chunk);
  expect(await answer).toMatch(/^HTTP\/1.1 413 .*larger than 4194304 bytes/s);
});

/** What a connection is told until it ends. */
async function textTo(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data: string) => {
    text += data;
  });
  await new Promise((resolve) => socket.once("end", resolve).once("close", resolve));
  socket.destroy();
  return text;
}

test("who asks for megabytes and reads nothing is given up before they are generated", async () => {
  const before = await server.metric("generated_tokens_total");
  const messages = [{ role: "user", content: prompt }];
  const much = { messages, max_tokens: 490, ignore_eos: true, n: 16, logprobs: true, top_logprobs: 20, stream: true };
  const socket = server.open(wire("/v1/chat/completions", much)).pause();
  await until(async () => (await underWay(server)) > 0);
  await until(async () => (await underWay(server)) === 0);
  expect((await server.metric("generated_tokens_total")) - before).toBeLessThan(16 * 490);
  socket.destroy();
});

test("half a connection is none: its slot is free, streamed or not", async () => {
  for (const stream of [true, false]) {
    const socket = server.open(wire("/v1/completions", { ...long, stream }));
    await until(async () => (await server.metric("slots_busy")) > 0);
    const before = await server.metric("generated_tokens_total");
    socket.end();
    await until(async () => (await underWay(server)) === 0);
    expect((await server.metric("generated_tokens_total")) - before).toBeLessThan(490);
    socket.destroy();
  }
});

test("who goes while waiting for a slot leaves the queue, and the one who has it notices nothing", async () => {
  const one = await folder.start("--model", at("writer"), "--slots", "1");
  const expected = await textOf(one, { ...long, seed: 3 });
  const holder = textOf(one, { ...long, seed: 3 });
  await until(async () => (await one.metric("slots_busy")) === 1);
  // Two sequences are sent ahead, the others wait here.
  const waiting = Array.from({ length: 6 }, () => one.open(wire("/v1/completions", { ...long, seed: 9 })));
  await until(async () => (await one.metric("requests_waiting")) === 4);
  for (const socket of waiting) socket.resetAndDestroy();
  await until(async () => (await one.metric("requests_waiting")) === 0);
  expect(await holder).toBe(expected);
  await until(async () => (await underWay(one)) === 0);
  expect(await one.metric("generated_tokens_total")).toBeLessThan(2.5 * 490);
});

test("who goes before the engine has looked at the request costs it nothing", async (context) => {
  context.skip(process.platform !== "linux", "finds the process in /proc");
  const one = await folder.start("--model", at("writer"));
  const expected = await textOf(one);
  const [engine = 0] = one.engines();
  process.kill(engine, "SIGSTOP");
  const gone = Array.from({ length: 4 }, (_, i) => one.open(wire("/v1/completions", { ...long, stream: i % 2 === 0 })));
  await until(async () => (await one.metric("requests_running")) === 4);
  for (const socket of gone) socket.resetAndDestroy();
  await until(async () => (await one.metric("requests_running")) === 0);
  const before = await one.metric("generated_tokens_total");
  process.kill(engine, "SIGCONT");
  expect(await textOf(one)).toBe(expected);
  expect((await one.metric("generated_tokens_total")) - before).toBeLessThan(100);
});

test("many go at any moment: nobody is told another's text, and no slot stays taken", async () => {
  const questions = [0, 1, 2, 3].map((seed) => ({ prompt: prompt.slice(seed), seed, max_tokens: 15 + seed }));
  const expected: string[] = [];
  for (const one of questions) expected.push(await textOf(server, one));
  const reader = new Random(7).reader();
  const below = (count: number): number => Math.floor(reader.uniform() * count);
  let isOver = false;
  const witness = async (): Promise<void> => {
    while (!isOver) {
      const i = below(questions.length);
      expect(await textOf(server, questions[i])).toBe(expected[i]);
    }
  };
  const leave = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) {
      const body = { ...long, prompt: prompt.repeat(1 + below(25)), n: 1 + below(3), stream: below(2) === 0 };
      const bytes = wire("/v1/completions", body);
      const socket = server.open(below(5) === 0 ? bytes.slice(0, -9) : bytes).resume();
      await after(below(150));
      if (below(3) === 0) socket.end();
      else socket.resetAndDestroy();
    }
  };
  const witnesses = [witness(), witness()];
  await Promise.all([leave(), leave(), leave(), leave(), leave()]);
  isOver = true;
  await Promise.all(witnesses);
  await until(async () => (await underWay(server)) === 0);
  expect((await server.get("/health")).status).toBe(200);
});

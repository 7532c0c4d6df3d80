import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isAlive, until } from "./running-server.ts";
import { serveSmallModels } from "./served-folder.ts";
import { stemma } from "./stemma.ts";

const { folder, at, server, openai } = await serveSmallModels();

const prompt = "In the beginning";
const ask = { model: "writer", prompt, max_tokens: 12, seed: 5 };

const long = { prompt, max_tokens: 490, ignore_eos: true };
const isFree = async (): Promise<boolean> =>
  (await server.metric("slots_busy")) + (await server.metric("requests_running")) === 0;

test("a client that goes frees its slot: in a stream, in a whole answer, with half a socket", async () => {
  const stream = await openai.completions.create({ ...ask, ...long, stream: true });
  for await (const _ of stream) break;
  stream.controller.abort();
  await until(isFree);
  const abort = new AbortController();
  const whole = server.send("/v1/completions", long, { signal: abort.signal });
  await until(async () => (await server.metric("slots_busy")) > 0);
  abort.abort();
  await expect(whole).rejects.toThrow();
  await until(isFree);
  const body = JSON.stringify({ ...long, stream: true });
  const head = `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const socket = server.open(head + body);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
  await until(isFree);
  const before = await server.metric("generated_tokens_total");
  await server.get("/health");
  expect(await server.metric("generated_tokens_total")).toBe(before);
});

test("more than slots and queue hold are refused at once, and the others are answered", async () => {
  const small = await folder.start("--model", at("writer"), "--slots", "1", "--queue", "2");
  expect((await small.post("/v1/completions", { prompt, max_tokens: 1 })).status).toBe(200);
  const answers = Array.from({ length: 12 }, () =>
    small.post("/v1/completions", { prompt, max_tokens: 60, ignore_eos: true }),
  );
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(5);
  const refused = (await Promise.all(answers)).find(({ status }) => status === 429);
  expect(refused?.body.error).toMatchObject({ type: "rate_limit_error", code: "queue_full" });
  expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
});

test("an engine that is killed costs its requests a 500, and is replaced", async (context) => {
  context.skip(process.platform !== "linux", "finds the process in /proc");
  const one = await folder.start("--model", at("writer"));
  expect((await one.post("/v1/completions", { prompt, max_tokens: 1 })).status).toBe(200);
  const answers = Array.from({ length: 6 }, () => one.post("/v1/completions", long));
  await until(async () => (await one.metric("slots_busy")) > 0);
  const [engine = 0] = one.engines();
  process.kill(engine, "SIGKILL");
  for (const { status, body } of await Promise.all(answers)) {
    expect([status, body.error.code]).toEqual([500, "engine_lost"]);
  }
  const after = await one.post("/v1/completions", { prompt, max_tokens: 1 });
  expect([after.status, (await one.get("/health")).status]).toEqual([200, 200]);
  const [replaced = 0] = one.engines();
  one.child.kill("SIGKILL"); // whatever the server ends by, its engine ends too
  await until(() => !isAlive(replaced));
});

test("SIGTERM lets answers end, and refuses new ones", async () => {
  const one = await folder.start("--model", at("writer"));
  const response = await one.send("/v1/completions", { ...long, stream: true });
  one.child.kill("SIGTERM");
  await until(async () => (await one.get("/health")).status === 503);
  expect((await one.post("/v1/completions", ask)).body.error).toMatchObject({ code: "stopping" });
  expect((await response.text()).trimEnd().split("\n\n").slice(-2)).toEqual([
    expect.stringContaining('"finish_reason":"length"'),
    "data: [DONE]",
  ]);
  await until(() => one.child.exitCode !== null);
  expect(one.child.exitCode).toBe(143);
});

test("SIGTERM to npx, whose shell does not pass it on, ends the server too", async (context) => {
  context.skip(process.platform === "win32", "the shell is another one there");
  const command = `"${process.execPath}" bin/stemma.js serve --port 0 --model "${at("writer")}"; true`;
  const shell = spawn("sh", ["-c", command], { env: { ...process.env, npm_command: "exec" } });
  let said = "";
  for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (data: Buffer) => (said += data.toString()));
  await until(() => said.includes("listening on"));
  shell.kill("SIGTERM");
  await new Promise((resolve) => shell.once("close", resolve)); // its pipes are the server's, and open as long
  expect(said).toContain("answers under way have 30 s");
});

test("what is not whole when the time is up ends with an error", async () => {
  const one = await folder.start("--model", at("writer"), "--drain", "0");
  const response = await one.send("/v1/completions", { ...long, stream: true });
  one.child.kill("SIGTERM");
  const text = await response.text();
  expect(text).toContain('"code":"stopping"');
  expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
});

test("whoever waits for a model that is still being opened when the time is up is told so", async (context) => {
  context.skip(process.platform !== "linux", "finds the processes in /proc");
  const one = await folder.start("--model", at("writer"), "--model", at("reader"), "--drain", "1");
  const asked = [
    one.post("/v1/completions", ask),
    one.post("/v1/chat/completions", { messages: [{ role: "user", content: prompt }], stream: true }),
    one.post("/v1/embeddings", { model: "reader", input: prompt }),
  ];
  await until(() => one.engines().length === 2);
  for (const engine of one.engines()) process.kill(engine, "SIGSTOP"); // they never come to be open
  one.child.kill("SIGTERM");
  for (const { status, body } of await Promise.all(asked)) {
    expect([status, body.error.code]).toEqual([503, "stopping"]);
  }
  await until(() => one.child.exitCode !== null);
  expect(one.child.exitCode).toBe(143);
});

test("keys are asked for everywhere but for the health", async () => {
  writeFileSync(at("keys"), "a-key-that-is-long-enough\n");
  const one = await folder.start("--model", at("writer"), "--api-key-file", at("keys"));
  expect((await one.get("/health")).status).toBe(200);
  for (const path of ["/v1/models", "/metrics", "/openapi.json", "/nothing"]) {
    const { status, body } = await one.get(path);
    expect([status, body.error.code]).toEqual([401, "invalid_api_key"]);
  }
  for (const authorization of ["", "Bearer ", "Bearer a-key-that-is-long-enougH", "Basic a-key-that-is-long-enough"]) {
    const { status, body } = await one.post("/v1/completions", ask, { authorization });
    expect([status, body.error.type]).toEqual([401, "authentication_error"]);
  }
  const client = one.client("a-key-that-is-long-enough");
  expect((await client.models.list()).data).toHaveLength(1);
  expect(one.said).not.toContain("long-enough");
});

test("a server for other machines is addressed by the address that they reach it at", async (context) => {
  context.skip(process.platform !== "linux", "takes a second address of the machine for granted");
  writeFileSync(at("keys"), "a-key-that-is-long-enough\n");
  const one = await folder.start("--model", at("writer"), "--host", "0.0.0.0", "--api-key-file", at("keys"));
  expect((await fetch(`http://127.0.0.2:${one.port}/health`)).status).toBe(200);
  const other = await one.talk("GET /health HTTP/1.1\r\nHost: 127.0.0.2\r\nConnection: close\r\n\r\n");
  expect(other).toMatch(
    /^HTTP\/1.1 403 .*127.0.0.2.* is not a name of this server; start it with --allow-host 127.0.0.2 /s,
  );
});

test("what cannot be is said in one line", async () => {
  const run = async (...args: string[]) => (await stemma(["serve", "--model", at("writer"), ...args])).stderr;
  expect(await run("--port", String(server.port))).toMatch(
    new RegExp(`^serve: port: ${server.port} of 127.0.0.1 is taken by (process ${server.child.pid} \\(|another)`),
  );
  expect(await run("--host", "0.0.0.0")).toMatch(/^serve: host: 0.0.0.0 lets other machines ask; give --api-key-file/);
  expect(await run("--model", at("writer"))).toMatch(/are both called writer; give one another name: --model other=/);
  expect(await run("--model", at("missing"))).toMatch(/missing/);
});

/**
 * Treats a server as bad networks and bad luck do, with real sockets and signals, and asks whether its other requests notice:
 *
 *     node scripts/strain-server.mjs FOLDER [--only slow,readers,leaving,killing] [--seed 1]
 *
 * `slow`: heads and bodies that come a byte a second. `readers`: 100 that ask for megabytes and read nothing. `leaving`: 400 that
 * end or half-close their connection at any moment, in a stream or before it. `killing`: ten times `kill -9` of the engine
 * under load. Meanwhile others ask what was asked before: they have to get the same. Takes about six minutes; Linux.
 */
import { Agent } from "node:http";
import { connect } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ServedProcess, seeded } from "./served-process.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "slow,readers,leaving,killing" },
    seed: { type: "string", default: "1" },
  },
});
const [model] = positionals;
if (model === undefined) throw new Error("give the folder of a small model that reads at least 512 tokens");
const below = seeded(options.seed);
const server = await ServedProcess.start("--model", model, "--queue", "2000");
const agent = new Agent({ keepAlive: true });
const prompts = ["In the beginning", "the heaven", "God created", "and the earth was"];
const questions = prompts.map((prompt, i) => ({ prompt, max_tokens: 20 + 5 * i, seed: i, temperature: 0.5 + 0.3 * i }));
const long = { prompt: prompts[0], max_tokens: 480, ignore_eos: true, stream: true };
const failures = [];

/** What is answered to a question; null where the engine was lost under it, or it waited for longer than a minute. */
async function textOf(question) {
  const { status, text } = await server.post("/v1/completions", question, agent);
  const answer = [200, 500, 503].includes(status) ? JSON.parse(text) : {};
  if (["engine_lost", "queue_timeout"].includes(answer.error?.code)) return null;
  if (status !== 200) throw new Error(`${status} ${text.slice(0, 200)}`);
  return answer.choices[0].text;
}

const known = [];
for (const question of questions) known.push(await textOf(question));

/** Asks the known questions, two at a time, until it is over; gives how many were answered, and how many lost. */
async function witness(isOver) {
  const counts = { same: 0, lost: 0 };
  const ask = async () => {
    while (!isOver()) {
      const i = below(questions.length);
      const text = await textOf(questions[i]).catch((error) => error.message);
      if (text === known[i]) counts.same += 1;
      else if (text === null) counts.lost += 1;
      else failures.push(`a witness was told ${JSON.stringify(text)}, not ${JSON.stringify(known[i])}`);
      await after(20);
    }
  };
  await Promise.all([ask(), ask()]);
  return counts;
}

/** Does something while witnesses ask; nothing may be under way when it is over. */
async function beside(name, act) {
  let isOver = false;
  const witnesses = witness(() => isOver);
  const start = performance.now();
  const said = await act();
  isOver = true;
  const { same, lost } = await witnesses;
  const busy = await server.settle(5);
  if (busy > 0) failures.push(`${name}: ${busy} sequences are still under way`);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const losses = lost > 0 ? `, ${lost} lost their engine or waited too long` : "";
  process.stdout.write(`${name}: ${said}; ${same} witnesses got the same answer${losses}; ${seconds} s\n`);
}

/** What a connection is told, and after how many seconds it ended. */
function endOf(socket) {
  const start = performance.now();
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  return new Promise((resolve) => {
    socket.once("close", () => resolve({ text, seconds: (performance.now() - start) / 1000 }));
  });
}

async function drip(socket, bytes) {
  for (const byte of bytes) {
    if (socket.destroyed || socket.writableEnded) return;
    socket.write(Buffer.of(byte));
    await after(1000);
  }
}

async function slow() {
  const bodies = Array.from({ length: 20 }, () =>
    server.open("/v1/completions", { ...long, user: "a".repeat(200) }, 180),
  );
  const heads = Array.from({ length: 20 }, () => connect(server.port, "127.0.0.1").on("error", () => {}));
  const ends = [...bodies.map(({ socket }) => socket), ...heads].map(endOf);
  for (const { socket, rest } of bodies) void drip(socket, rest);
  for (const socket of heads) void drip(socket, Buffer.from(`GET /health HTTP/1.1\r\nX: ${"a".repeat(200)}\r\n\r\n`));
  const told = await Promise.all(ends);
  for (const { text } of told) if (!text.startsWith("HTTP/1.1 408 ")) failures.push(`slow: ${text.slice(0, 100)}`);
  const longest = (some) => Math.max(...some.map(({ seconds }) => seconds)).toFixed(0);
  return `20 bodies and 20 heads of a byte a second got a 408, after ${longest(told.slice(0, 20))} and ${longest(told.slice(20))} s at most`;
}

async function readers() {
  const [memory, connections] = [server.residentBytes(), server.connections()];
  // Ten megabytes for every third of them: more than the system takes for a connection.
  const messages = [{ role: "user", content: prompts[0] }];
  const much = { ...long, prompt: null, messages, logprobs: true, top_logprobs: 20 };
  const bodies = Array.from({ length: 100 }, (_, i) => ({ ...much, n: i % 3 === 0 ? 16 : 1 }));
  const sockets = bodies.map((body) => server.open("/v1/chat/completions", body).socket.pause());
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(0);
  while (server.connections() < connections + 100) await after(20);
  while ((await server.underWay()) > 4) await after(50); // those of the witnesses
  const free = seconds();
  while (server.connections() > connections + 4) await after(500);
  const grown = (server.residentBytes() - memory) / 1e6;
  for (const socket of sockets) socket.destroy();
  return `100 that read nothing held no slot after ${free} s, and no connection after ${seconds()} s; memory + ${grown.toFixed(0)} MB`;
}

async function leaving() {
  const bodies = [
    () => long,
    () => ({ ...long, stream: false }),
    () => ({ ...long, n: 1 + below(4) }),
    () => ({ ...long, prompt: Array.from({ length: 4 }, () => prompts[below(4)].repeat(20)), max_tokens: 20 }),
    () => ({ messages: [{ role: "user", content: prompts[below(4)].repeat(1 + below(20)) }], stream: below(2) === 0 }),
  ];
  const go = async () => {
    const body = bodies[below(bodies.length)]();
    const { socket } = server.open(`/v1/${"messages" in body ? "chat/" : ""}completions`, body, below(5) === 0 ? 9 : 0);
    socket.resume();
    await after(below(400));
    if (below(3) === 0) socket.end();
    else socket.resetAndDestroy();
  };
  const work = async () => {
    for (let i = 0; i < 20; i++) await go();
  };
  await Promise.all(Array.from({ length: 20 }, work));
  await server.settle();
  const generated = await server.metric("generated_tokens_total");
  return `400 went at any moment (${generated} tokens so far)`;
}

async function killing() {
  let isOver = false;
  const counts = {};
  const load = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      const { status, text } = await server.post("/v1/completions", { ...long, stream: false, max_tokens: 100 }, agent);
      const code = status === 200 ? status : `${status} ${JSON.parse(text).error.code}`;
      counts[code] = (counts[code] ?? 0) + 1;
      if (code !== 200 && code !== "500 engine_lost") failures.push(`killing: ${status} ${text.slice(0, 200)}`);
    }
  });
  for (let i = 0; i < 10; i++) {
    while ((await server.metric("slots_busy")) < 4) await after(20);
    await after(below(300));
    for (const engine of server.engines()) process.kill(engine, "SIGKILL");
    const { status } = await server.post("/v1/completions", questions[0], agent); // waits for the new engine
    if (status !== 200) failures.push(`killing: the next request got ${status}`);
  }
  isOver = true;
  await Promise.all(load);
  const lost = await server.metric("engine_failures_total");
  if (lost !== 10) failures.push(`killing: ${lost} engines were lost, not 10`);
  return `10 engines were killed; answers ${JSON.stringify(counts)}`;
}

const parts = { slow, readers, leaving, killing };
for (const name of options.only.split(",")) await beside(name, parts[name]);
if ((await server.health()) !== 200) failures.push("the server is not well");
agent.destroy();
await server.stop();
for (const failure of failures.slice(0, 20)) process.stdout.write(`${failure}\n`);
process.stdout.write(failures.length > 0 ? `${failures.length} failures\n` : "nothing failed\n");
process.exitCode = failures.length > 0 ? 1 : 0;

/**
 * Asks a server what nobody would: bodies of random fields and values, cut, doubled and with bytes changed. Each has to be
 * answered or refused; none may make the server fail, and it has to work at the end.
 *
 *     node scripts/fuzz-server.mjs FOLDER [bodies=100000] [seed=1]
 */
import { spawn } from "node:child_process";
import { Agent, request } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [model, bodies = "100000", seed = "1"] = process.argv.slice(2);
if (model === undefined) throw new Error("give the folder of a small model");

const bin = join(dirname(dirname(fileURLToPath(import.meta.url))), "bin", "stemma.js");
const server = spawn(process.execPath, [bin, "serve", "--model", model, "--port", "0", "--queue", "1000"]);
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const url = await new Promise((resolve, reject) => {
  let said = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (data) => {
      said += data;
      const found = /listening on (\S+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
  }
  server.on("exit", () => reject(new Error(said)));
});

let state = Number(seed) >>> 0;
/** A number below `count` (mulberry32). */
function below(count) {
  state = (state + 0x6d2b79f5) >>> 0;
  let x = Math.imul(state ^ (state >>> 15), state | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) % count;
}
const pick = (items) => items[below(items.length)];

const paths = [
  "/v1/completions",
  "/v1/chat/completions",
  "/v1/embeddings",
  "/tokenize",
  "/detokenize",
  "/apply-template",
];
const fields = "prompt messages model n best_of stop seed logprobs top_logprobs echo stream stream_options logit_bias";
const more = "max_tokens temperature top_p top_k min_p tools tool_choice response_format input tokens suffix __proto__";
const names = [...fields.split(" "), ...more.split(" ")];
const values = [
  ...[
    null,
    true,
    false,
    0,
    1,
    -1,
    2 ** 31,
    2 ** 53,
    1.5,
    -1e308,
    1e-320,
    "",
    "a",
    "\u0000",
    "\ud800",
    "🙂",
    "9".repeat(400),
  ],
  ...[
    [],
    {},
    [[]],
    [null],
    ["a", 1],
    [1, 2],
    [[1], [2]],
    { a: [] },
    { type: "json_object" },
    { 5: 1 },
    [{ role: "user", content: "a" }],
  ],
];

function nestedValue(depth = 0) {
  if (depth < 4 && below(4) === 0) return Array.from({ length: below(4) }, () => nestedValue(depth + 1));
  if (depth < 4 && below(6) === 0) return { [pick(names)]: nestedValue(depth + 1) };
  return pick(values);
}

/** Mostly close to a request that is right. */
function nextBody() {
  const start = pick([
    { prompt: "a", max_tokens: 1 },
    { messages: [{ role: "user", content: "a" }], max_tokens: 1 },
    {},
  ]);
  const changes = Array.from({ length: below(4) }, () => [pick(names), nestedValue()]);
  const bytes = Buffer.from(JSON.stringify({ ...start, ...Object.fromEntries(changes) }));
  const how = below(10);
  if (how === 0) return bytes.subarray(0, below(bytes.length + 1));
  if (how === 1) return Buffer.concat([bytes, bytes]);
  if (how === 2) for (let i = below(4); i >= 0; i--) bytes[below(bytes.length)] = below(256);
  return bytes;
}

function post(path, body) {
  const headers = { "content-type": "application/json", "content-length": body.length };
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method: "POST", agent, headers }, (response) => {
      response
        .resume()
        .on("end", () => resolve(response.statusCode))
        .on("error", reject);
    });
    sent.on("error", reject).end(body);
  });
}

const counts = new Map();
const failures = [];
let left = Number(bodies);
async function work() {
  while (left-- > 0) {
    const [path, body] = [pick(paths), nextBody()];
    const status = await post(path, body).catch((error) => error.code);
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (!(status >= 200 && status < 500)) failures.push(`${status} ${path} ${body.toString().slice(0, 300)}`);
  }
}
await Promise.all(Array.from({ length: 32 }, work));
const health = await fetch(`${url}/health`);
agent.destroy();
server.kill("SIGTERM");
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}, health ${health.status}\n`);
for (const failure of failures.slice(0, 20)) process.stdout.write(`${failure}\n`);
process.exitCode = failures.length > 0 || health.status !== 200 ? 1 : 0;

/**
 * Asks a server what nobody would: bodies of random fields and values, cut, doubled and with bytes changed. Each has to be
 * answered or refused; none may make the server fail or leave a slot busy, and it has to say at the end what it said before.
 *
 *     node scripts/fuzz-server.mjs FOLDER [bodies=100000] [seed=1]
 */
import { Agent } from "node:http";
import { ServedProcess, seeded } from "./served-process.mjs";

const [model, bodies = "100000", seed = "1"] = process.argv.slice(2);
if (model === undefined) throw new Error("give the folder of a small model");

const server = await ServedProcess.start("--model", model, "--queue", "1000", "--threads", "1");
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const below = seeded(seed);
const pick = (items) => items[below(items.length)];

const conversation = { messages: [{ role: "user", content: "a" }] };
/** What is asked where, and a body that is right there. */
const starts = {
  "/v1/completions": { prompt: "a", max_tokens: 1 },
  "/v1/chat/completions": { ...conversation, max_tokens: 1 },
  "/v1/embeddings": { input: "a" },
  "/tokenize": { prompt: "a" },
  "/detokenize": { tokens: [1, 2] },
  "/apply-template": conversation,
};
const paths = Object.keys(starts);
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

/** Values that are right, so that what comes behind the checks of each field is met, too. */
const right = {
  ...{ n: [1, 2, 3], best_of: [1, 2, 4], seed: [0, 5], logprobs: [0, 3, true], top_logprobs: [0, 2], echo: [true] },
  ...{ stream: [true], stream_options: [{ include_usage: true }], logit_bias: [{ 5: 1, 6: -100 }], min_p: [0.1] },
  ...{ max_tokens: [0, 1, 4], temperature: [0, 0.7, 2], top_p: [0.5, 1], top_k: [1, 5], stop: ["e", ["th", "\ufffd"]] },
  ...{ prompt: ["the", ["the", "God"], [1, 2], [[1], [2, 3]], ""], tokens: [[1, 2, 3]], input: ["the"] },
  ...{ response_format: [{ type: "json_object" }, { type: "json_schema", json_schema: { schema: { enum: [1, 2] } } }] },
  messages: [
    [
      { role: "system", content: "a" },
      { role: "assistant", content: [{ type: "text", text: "the" }] },
    ],
  ],
};

function nestedValue(depth = 0) {
  if (depth < 4 && below(4) === 0) return Array.from({ length: below(4) }, () => nestedValue(depth + 1));
  if (depth < 4 && below(6) === 0) return { [pick(names)]: nestedValue(depth + 1) };
  return pick(values);
}

/** Mostly close to a request that is right. */
function nextBody(path) {
  const start = starts[below(4) === 0 ? pick(paths) : path];
  const changes = Array.from({ length: below(4) }, () => {
    const name = pick(names);
    return [name, name in right && below(2) === 0 ? pick(right[name]) : nestedValue()];
  });
  const bytes = Buffer.from(JSON.stringify({ ...start, ...Object.fromEntries(changes) }));
  const how = below(10);
  if (how === 0) return bytes.subarray(0, below(bytes.length + 1));
  if (how === 1) return Buffer.concat([bytes, bytes]);
  if (how === 2) for (let i = below(4); i >= 0; i--) bytes[below(bytes.length)] = below(256);
  return bytes;
}

const known = { prompt: "In the beginning", max_tokens: 20, seed: 7 };
const said = async () => JSON.parse((await server.post("/v1/completions", known)).text).choices?.[0].text;
const before = await said();
const counts = new Map();
const failures = [];
let left = Number(bodies);
async function work() {
  while (left-- > 0) {
    const path = pick(paths);
    const body = nextBody(path);
    const { status } = await server.post(path, body, agent);
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (!(status >= 200 && status < 500)) failures.push(`${status} ${path} ${body.toString().slice(0, 300)}`);
  }
}
await Promise.all(Array.from({ length: 32 }, work));
agent.destroy();
const busy = await server.settle();
if (busy > 0) failures.push(`${busy} sequences are still under way`);
if ((await said()) !== before) failures.push("the same question has another answer than before");
if ((await server.health()) !== 200) failures.push("the server is not well");
const lost = await server.metric("engine_failures_total");
if (lost > 0) failures.push(`engines were lost: ${lost}`);
await server.stop();
process.stdout.write(`answers by status: ${JSON.stringify(Object.fromEntries(counts))}\n`);
for (const failure of failures.slice(0, 20)) process.stdout.write(`${failure}\n`);
process.stdout.write(failures.length > 0 ? `${failures.length} failures\n` : "nothing failed\n");
process.exitCode = failures.length > 0 ? 1 : 0;

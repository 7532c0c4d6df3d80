import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { stemma } from "./stemma.ts";

const bin = join(import.meta.dirname, "../../bin/stemma.js");
let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);

const sizes = "--tokenizer bpe-300 --layers 1 --heads 2 --width 16 --context 32 --batch-size 4 --sample-tokens 2";
const pretrain = (...more: string[]): string[] => ["pretrain", "--data", "text.txt", ...sizes.split(" "), ...more];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stemma-signals-"));
  writeFileSync(at("text.txt"), "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
  const question = `${JSON.stringify({ text: "the cat sat on the" })}\n`;
  writeFileSync(at("many.jsonl"), question.repeat(60_000));
  const task = { task: "mats", dataset_path: "json", dataset_kwargs: { data_files: { test: "many.jsonl" } } };
  const prompts = { test_split: "test", output_type: "multiple_choice", doc_to_text: "{{text}}", doc_to_target: 0 };
  writeFileSync(at("task.yaml"), JSON.stringify({ ...task, ...prompts, doc_to_choice: ["mat", "log"] }));
  const made = await stemma(pretrain("--steps", "2", "--output", "base"), { cwd: folder });
  expect([made.code, made.stderr]).toEqual([0, expect.any(String)]);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a command, sends it a signal once `isTime` says so of what it has written, and gives how it ended. */
async function stopped(
  args: readonly string[],
  signal: NodeJS.Signals,
  isTime: (said: string, pid: number) => boolean,
  cwd = folder,
) {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, NO_COLOR: "1" } });
  let said = "";
  let isSent = false;
  const look = (): void => {
    if (isSent || child.exitCode !== null || !isTime(said, child.pid ?? 0)) return;
    isSent = true;
    child.kill(signal);
  };
  const timer = setInterval(look, 5);
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearInterval(timer);
  return { code, said, isSent };
}

const hasTrained = (output: string) => (): boolean =>
  existsSync(at(output, "metrics.jsonl")) && readFileSync(at(output, "metrics.jsonl"), "utf8").includes('"step":1,');
const checkpoints = (output: string): string[] => readdirSync(at(output)).filter((name) => /^checkpoint-/.test(name));

test("every stage stops at a signal with a checkpoint, and goes on to the same bits", (context) => {
  context.skip(process.platform === "win32", "signals end processes there");
  const script = join(import.meta.dirname, "../../scripts/pull-the-plug.mjs");
  // Steps without the addon are long enough for a signal to come during few of them.
  const steps = process.env.STEMMA_BACKEND === "reference" ? "16" : "50";
  const often = ["--signals", "8", "--per-run", "1", "--steps", steps];
  const options = [...often, "--moment", "training", "--kinds", "SIGINT,SIGTERM"];
  const { stdout, stderr } = spawnSync(process.execPath, [script, ...options], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/nothing was lost: .*stopped and saved 8,/);
}, 600_000);

test("a quickstart stops at a signal with a checkpoint", async (context) => {
  context.skip(process.platform === "win32", "signals end processes there");
  const args = ["quickstart", "--road", "base", "--steps", "5000", "--output", "quick"];
  const { code, said } = await stopped(args, "SIGINT", hasTrained("quick/base"));
  const how = "npx stemma quickstart --resume --output quick --road base --steps 5000";
  const what = new RegExp(`pretrain: stopped after step \\d+ and saved; go on with it: ${how}\n`);
  expect([code, said]).toEqual([130, expect.stringMatching(what)]);
  expect(checkpoints("quick/base")).toHaveLength(1);
}, 300_000);

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s while a command is loaded is answered in a line", async (signal, expected) => {
  // The first listener is there before most of the program is.
  const hook = `const timer = setInterval(() => {
    if (process.listenerCount("${signal}") === 0) return;
    clearInterval(timer);
    process.kill(process.pid, "${signal}");
  }, 1);`;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(hook)}`, bin, ...pretrain("--output", "early")];
  const child = spawn(process.execPath, args, { cwd: folder });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  expect([code, said]).toEqual([expected, "stemma: stopped while it was starting; nothing was begun\n"]);
  expect(existsSync(at("early"))).toBe(false);
});

/** Whether a command opened a file so long ago; Linux tells which files a process has open. */
function hasOpened(name: string, milliseconds: number): (said: string, pid: number) => boolean {
  let since: number | null = null;
  return (_, pid) => {
    const folder = `/proc/${pid}/fd`;
    const opened = readdirSync(folder).some((file) => linkOf(join(folder, file)).endsWith(name));
    if (opened) since ??= Date.now();
    return since !== null && Date.now() - since >= milliseconds;
  };
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed since the folder was read
  }
}

test("learning a tokenizer ends at a signal, and writes none", async (context) => {
  context.skip(process.platform !== "linux", "nobody says there which files a process has open");
  const random = new Random(1);
  const letters = random.reader();
  const word = (): string => Array.from({ length: 9 }, () => "abcdefghij"[letters.word() % 10]).join("");
  writeFileSync(at("words.txt"), Array.from({ length: 200_000 }, word).join(" "));
  for (const [kind, size] of [
    ["byte-level-bpe", "60000"],
    ["unigram", "8000"],
  ] as const) {
    const args = ["tokenizer", "train", "--input", "words.txt", "--kind", kind, "--vocab-size", size, "--output", kind];
    const { code, isSent } = await stopped(args, "SIGINT", hasOpened("words.txt", 1000));
    expect([kind, code, isSent]).toEqual([kind, 130, true]);
    expect(existsSync(at(kind))).toBe(false);
  }
}, 300_000);

test("reading and encoding rows ends at a signal", async (context) => {
  context.skip(process.platform !== "linux", "nobody says there which files a process has open");
  const row = `${JSON.stringify({ prompt: "the cat sat on the", completion: "mat and the dog on the log" })}\n`;
  writeFileSync(at("talks.jsonl"), row.repeat(200_000));
  const args = ["sft", "--model", "base/final", "--data", "talks.jsonl", "--output", "talks", "--steps", "1"];
  const { code, said } = await stopped(args, "SIGTERM", hasOpened("talks.jsonl", 700));
  expect([code, said]).toEqual([143, expect.stringContaining("sft: stopped before the first step")]);
}, 300_000);

test("a run that was stopped goes on from another folder, with the data that it began with", async () => {
  const { code } = await stopped(pretrain("--steps", "100000", "--output", "run"), "SIGTERM", hasTrained("run"));
  expect(code).toBe(143);
  const step = Number(checkpoints("run")[0]?.split("-")[1]);
  const resumed = ["pretrain", "--resume", "--output", at("run"), "--steps", String(step + 1), "--json"];
  const { code: second, stdout, stderr } = await stemma(resumed, { cwd: tmpdir() });
  expect([second, second === 0 ? "" : stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toMatchObject({ step: step + 1, interrupted: false });
});

const grpo = (...more: string[]): string[] => {
  writeFileSync(at("prompts.jsonl"), '{"prompt":"the cat"}\n');
  const counts = "--answers 4 --generations 4 --max-new-tokens 4 --steps 1 --threads 1";
  return ["grpo", "--model", "base/final", "--prompts", "prompts.jsonl", ...counts.split(" "), ...more];
};

test("a long step of many batches, and a long iteration of many passes, end at a signal", async (context) => {
  context.skip(process.platform === "win32", "signals end processes there");
  const hasBegun = (output: string) => (): boolean => existsSync(at(output, "metrics.jsonl"));
  const step = pretrain("--steps", "2", "--accumulation", "100000", "--batch-size", "1", "--output", "long");
  const long = await stopped(step, "SIGINT", hasBegun("long"));
  expect([long.code, long.said]).toEqual([130, expect.stringContaining("stopped and saved")]);
  expect(checkpoints("long")).toEqual(["checkpoint-0"]);
  const iteration = grpo("--reward-pattern", "[aeiou]", "--passes", "10000", "--output", "passes");
  const passes = await stopped(iteration, "SIGTERM", hasBegun("passes"));
  expect([passes.code, passes.said]).toEqual([143, expect.stringMatching(/grpo: (stopped in its first|step 0)/)]);
}, 120_000);

test("a judge that nothing will ever make answer is an error, not a silent end", async () => {
  writeFileSync(at("mute.mjs"), "export default () => new Promise(() => {});\n");
  const { code, stderr } = await stemma(grpo("--reward", "mute.mjs", "--output", "mute"), { cwd: folder });
  expect([code, stderr]).toEqual([1, expect.stringMatching(/grpo: mute\.mjs: never answers for .*line 1: nothing is/)]);
  expect(existsSync(at("mute", "run.lock"))).toBe(false);
}, 60_000);

test.each([
  ["generate", "generate --model base/final --prompt cat --max-new-tokens 100000000 --ignore-end-of-text", /cat./],
  ["eval", "eval --model base/final --tasks task.yaml --batch-tokens 64", /task +shots/],
])("%s ends at Ctrl-C", async (_, args, sign) => {
  const { code, said } = await stopped(args.split(" "), "SIGINT", (text) => sign.test(text));
  expect([code, said]).toEqual([130, expect.stringContaining("stopping")]);
});

test("Ctrl-C stops an answer of a chat, which stays, and at the prompt ends the chat", async (context) => {
  context.skip(process.platform === "win32", "signals end processes there");
  const args = ["chat", "--model", "base/final", "--max-new-tokens", "100000000", "--temperature", "0"];
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (data: Buffer) => (said[name] += data.toString()));
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const prompts = (): number => said.stdout.split("> ").length - 1;
  await expect.poll(prompts, { timeout: 30_000 }).toBe(1);
  child.stdin.write("/nothing\n");
  await expect.poll(prompts).toBe(2);
  expect(said.stderr).toMatch(/^\/nothing is unknown; \/reset forgets .*Ctrl-C stops an answer/m);
  child.stdin.write("the cat\n");
  await expect.poll(() => said.stdout, { timeout: 30_000 }).toMatch(/> > [^>]/);
  child.kill("SIGINT");
  await expect.poll(prompts, { timeout: 30_000 }).toBe(3);
  child.stdin.write("/save talk.jsonl\n");
  await expect.poll(() => existsSync(at("talk.jsonl")) && prompts()).toBe(4);
  const [, , answer = ""] = said.stdout.split("> ");
  const { messages } = JSON.parse(readFileSync(at("talk.jsonl"), "utf8"));
  expect(messages).toEqual([
    { role: "user", content: "the cat" },
    { role: "assistant", content: answer.replace(/\n$/, "") },
  ]);
  const again = setInterval(() => child.kill("SIGINT"), 200); // soon after the first it is the same wish
  expect(await ended).toBe(130);
  clearInterval(again);
}, 90_000);

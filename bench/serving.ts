/**
 * A server under load: `npx tsx bench/serving.ts`. Starts `stemma serve` and asks as strangers do: at random moments, whether
 * or not earlier answers have come. Prints the table of docs/serving.md; `--seconds 60` are what its numbers are made with.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Command } from "commander";
import { Random } from "../src/core/random.ts";
import { describeMachine } from "../src/train/machine.ts";
import type { Outcome } from "./serving-load.ts";
import { ask, closedLoop, gapsOf, openLoop, probe, quantile } from "./serving-load.ts";
import { writeServingModel } from "./serving-model.ts";
import { formatNumber, formatShare } from "./table.ts";

const parts = ["half", "joining", "flood"] as const;
const options = new Command("bench/serving")
  .option("--model <folder>", "what is served (default: a GPT-2 of 17 million random weights)")
  .option("--only <parts>", `what comes after the capacity: ${parts.join(",")}`, parts.join(","))
  .option("--seconds <n>", "length of each part", Number, 20)
  .option("--slots <n>", "sequences side by side", Number, 8)
  .option("--prompt-tokens <n>", "length of prompts", Number, 64)
  .option("--tokens <n>", "length of answers", Number, 64)
  .parse()
  .opts<{ model?: string; only: string; seconds: number; slots: number; promptTokens: number; tokens: number }>();

const { only, seconds, slots, promptTokens, tokens } = options;
const folder = mkdtempSync(join(tmpdir(), "stemma-serving-"));
if (options.model === undefined) await writeServingModel(folder);
const { server, url } = await start(options.model ?? folder);
try {
  await measure(only.split(","));
} finally {
  server.kill("SIGTERM");
  rmSync(folder, { recursive: true });
}

async function start(model: string): Promise<{ server: ChildProcess; url: string }> {
  const bin = join(import.meta.dirname, "../bin/stemma.js");
  const child = spawn(process.execPath, [bin, "serve", "--model", model, "--port", "0", "--slots", String(slots)]);
  const listening = new Promise<string>((resolve, reject) => {
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data: Buffer) => {
        said += data.toString();
        const [, found] = /listening on (\S+)/.exec(said) ?? [];
        if (found !== undefined) resolve(found);
      });
    }
    child.on("exit", () => reject(new Error(said)));
  });
  return { server: child, url: await listening };
}

/** A prompt of its own for each request, so that nothing of it is known. */
function bodyOf(i: number, length = promptTokens): object {
  const reader = new Random(i + 1).reader();
  const prompt = Array.from({ length }, () => 10 + Math.floor(reader.uniform() * 200));
  return { prompt, max_tokens: tokens, ignore_eos: true, seed: i, temperature: 1, top_p: 0.95 };
}

async function measure(wanted: readonly string[]): Promise<void> {
  await closedLoop(url, bodyOf, slots, (asked) => asked >= slots); // opens the model
  print(
    `${describeMachine().processor}, prompts of ${promptTokens} tokens, answers of ${tokens}, ${seconds} s a line\n`,
  );
  print("| load | tokens a second | first token, p50 | p99 | between tokens, p50 | p99 |");
  print("|---|---|---|---|---|---|");
  const lasting = (): (() => boolean) => {
    const end = performance.now() + seconds * 1000;
    return () => performance.now() >= end;
  };
  const alone = await closedLoop(url, bodyOf, 1, lasting());
  row("one request at a time", alone, rate(alone, 1));
  const full = await closedLoop(url, bodyOf, slots, lasting());
  const capacity = rate(full, slots);
  row(`${slots} at a time`, full, capacity);
  if (wanted.includes("half")) {
    const half = await openLoop({ url, body: bodyOf, rate: capacity / tokens / 2, seconds, seed: 1 });
    row("half of that, at random moments", half, delivered(half, seconds));
  }
  const remarks: string[] = [];
  if (wanted.includes("flood")) remarks.push(...(await flood(capacity)));
  if (wanted.includes("joining")) remarks.push(await joining());
  print("", ...remarks);
}

/** A long prompt comes while all other slots write. */
async function joining(): Promise<string> {
  const agent = new Agent({ keepAlive: true });
  const writers = Array.from({ length: slots - 1 }, (_, i) =>
    ask(url, { ...bodyOf(1000 + i), max_tokens: 400 }, agent),
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  const long = ask(url, { ...bodyOf(2000, 480), max_tokens: 2 }, agent);
  const others = await Promise.all(writers);
  await long;
  agent.destroy();
  return `A prompt of 480 tokens joins ${slots - 1} writers: the longest gap of theirs is ${ms(Math.max(...gapsOf(others)))}.`;
}

/** Ten times as much as it can do. */
async function flood(capacity: number): Promise<string[]> {
  const before = residentBytes();
  let isOver = false;
  const health = probe(url, 50, () => isOver);
  const own = monitorEventLoopDelay({ resolution: 1 });
  own.enable();
  const start = performance.now();
  const outcomes = await openLoop({ url, body: bodyOf, rate: (10 * capacity) / tokens, seconds, seed: 2 });
  const took = (performance.now() - start) / 1000;
  own.disable();
  isOver = true;
  const served = outcomes.filter(({ status }) => status === 200);
  const refused = outcomes.filter(({ status }) => status === 429);
  const refusals = refused.map(({ end }) => end);
  const goodput = delivered(served, took);
  row("ten times as much", served, goodput);
  const whole = served.filter(({ isWhole }) => isWhole).length;
  const told = refused.filter(({ retryAfter }) => retryAfter !== null).length;
  const others = outcomes.length - served.length - refused.length;
  return [
    `Of ${outcomes.length} requests ${served.length} were answered (${whole} whole), ${refused.length} refused (${told} with Retry-After), ${others} neither.`,
    `Goodput is ${formatShare(goodput / capacity)} of the capacity; memory of the server + ${((residentBytes() - before) / 1e6).toFixed(0)} MB.`,
    `Refusals take ${quantiles(refusals)}, ${formatShare(refusals.filter((time) => time <= 20).length / refusals.length)} of them at most 20 ms; /health takes ${quantiles(await health)}.`,
    `(The asker's own delay, which is in all of these: ${ms(own.percentile(50) / 1e6)} at p50, ${ms(own.percentile(99) / 1e6)} at p99.)`,
  ];
}

/** Tokens a second of requests that followed each other without a pause, so many of them side by side. */
function rate(outcomes: readonly Outcome[], concurrency: number): number {
  return delivered(outcomes, outcomes.reduce((sum, { end }) => sum + end, 0) / 1000 / concurrency);
}

function delivered(outcomes: readonly Outcome[], overSeconds: number): number {
  return outcomes.reduce((sum, outcome) => sum + outcome.tokens.length, 0) / overSeconds;
}

function row(what: string, outcomes: readonly Outcome[], tokensPerSecond: number): void {
  const first = outcomes.flatMap(({ tokens: [time] }) => (time === undefined ? [] : [time]));
  const times = [first, gapsOf(outcomes)].flatMap((values) => [quantile(values, 0.5), quantile(values, 0.99)]);
  print(`| ${[what, formatNumber(tokensPerSecond), ...times.map(ms)].join(" | ")} |`);
}

function quantiles(times: readonly number[]): string {
  return `${ms(quantile(times, 0.5))} at p50, ${ms(quantile(times, 0.99))} at p99`;
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

function residentBytes(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
}

function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

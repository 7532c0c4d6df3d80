/**
 * A server under load: `npx tsx bench/serving.ts --model FOLDER`. Starts `stemma serve` with it and asks as strangers do:
 * at random moments, whether or not earlier answers have come. Prints the table of docs/serving.md.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { Command } from "commander";
import { Random } from "../src/core/random.ts";
import type { Outcome } from "./serving-load.ts";
import { ask, closedLoop, gapsOf, openLoop, probe, quantile } from "./serving-load.ts";

const options = new Command("bench/serving")
  .requiredOption("--model <folder>", "what is served")
  .option("--seconds <n>", "length of each part", Number, 20)
  .option("--slots <n>", "sequences side by side", Number, 8)
  .option("--prompt-tokens <n>", "length of prompts", Number, 64)
  .option("--tokens <n>", "length of answers", Number, 64)
  .parse()
  .opts<{ model: string; seconds: number; slots: number; promptTokens: number; tokens: number }>();

const { model, seconds, slots, promptTokens, tokens } = options;
const bin = join(import.meta.dirname, "../bin/stemma.js");
const server = spawn(process.execPath, [bin, "serve", "--model", model, "--port", "0", "--slots", String(slots)]);
const url = await new Promise<string>((resolve, reject) => {
  let said = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (data: Buffer) => {
      said += data.toString();
      const [, found] = /listening on (\S+)/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
  }
  server.on("exit", () => reject(new Error(said)));
});

try {
  await measure();
} finally {
  server.kill("SIGTERM");
}

/** A prompt of its own for each request, so that nothing of it is known. */
function bodyOf(i: number, length = promptTokens): object {
  const reader = new Random(i + 1).reader();
  const prompt = Array.from({ length }, () => 10 + Math.floor(reader.uniform() * 200));
  return { prompt, max_tokens: tokens, ignore_eos: true, seed: i, temperature: 1, top_p: 0.95 };
}

async function measure(): Promise<void> {
  await closedLoop(url, bodyOf, slots, slots); // opens the model
  const alone = await closedLoop(url, bodyOf, 4, 1);
  row("one request at a time", alone, rate(alone, 1));
  const full = await closedLoop(url, bodyOf, slots * Math.max(4, Math.ceil(seconds / 4)), slots);
  const capacity = rate(full, slots);
  row(`${slots} at a time`, full, capacity);
  const half = await openLoop({ url, body: bodyOf, rate: capacity / tokens / 2, seconds, seed: 1 });
  row("half of that, at random moments", half, delivered(half, seconds));
  await joining();
  await overload(capacity);
}

/** A long prompt comes while all other slots write. */
async function joining(): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const writers = Array.from({ length: slots - 1 }, (_, i) => ask(url, bodyOf(1000 + i), agent));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const long = ask(url, { ...bodyOf(2000, 480), max_tokens: 2 }, agent);
  const others = await Promise.all(writers);
  await long;
  agent.destroy();
  print(`a prompt of 480 tokens joins ${slots - 1} writers: longest gap of theirs ${ms(Math.max(...gapsOf(others)))}`);
}

async function overload(capacity: number): Promise<void> {
  const before = residentBytes();
  let isOver = false;
  const health = probe(url, 50, () => isOver);
  const start = performance.now();
  const flood = await openLoop({ url, body: bodyOf, rate: (10 * capacity) / tokens, seconds, seed: 2 });
  const took = (performance.now() - start) / 1000;
  isOver = true;
  const served = flood.filter(({ status }) => status === 200);
  const refused = flood.filter(({ status }) => status === 429);
  const refusals = refused.map(({ end }) => end);
  row("ten times as much", served, delivered(served, took));
  print(
    [
      `${flood.length} requests: ${served.length} answered (${served.filter(({ isWhole }) => isWhole).length} whole), ` +
        `${refused.length} refused with Retry-After (${refused.filter(({ retryAfter }) => retryAfter !== null).length}), ` +
        `${flood.length - served.length - refused.length} otherwise`,
      `refusals p50 ${ms(quantile(refusals, 0.5))}, p99 ${ms(quantile(refusals, 0.99))}`,
      `/health p99 ${ms(quantile(await health, 0.99))}`,
      `memory of the server + ${((residentBytes() - before) / 1e6).toFixed(0)} MB`,
    ].join("; "),
  );
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
  const gaps = gapsOf(outcomes);
  const cells = [
    what,
    tokensPerSecond.toFixed(0),
    ms(quantile(first, 0.5)),
    ms(quantile(first, 0.99)),
    ms(quantile(gaps, 0.5)),
    ms(quantile(gaps, 0.99)),
  ];
  print(`| ${cells.join(" | ")} |`);
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

function residentBytes(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

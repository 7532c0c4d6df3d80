/**
 * Stops every stage of training with real signals at random moments, resumes it, and compares the final weights and the
 * optimizer's last state, bit by bit, with those of a run that was never stopped.
 *
 *     node scripts/pull-the-plug.mjs                  100 signals, about ten minutes on two quiet cores
 *     node scripts/pull-the-plug.mjs --signals 12     fewer; --per-run 1: to each run one instead of three
 *     node scripts/pull-the-plug.mjs --moment training --kinds SIGINT    only once a step was made
 *     node scripts/pull-the-plug.mjs --steps 50       no stage makes more steps
 *     node scripts/pull-the-plug.mjs --quickstart     `stemma quickstart` among the stages: minutes more
 *
 * Prints a line a run. Exits with 1 when anything was lost; the folders are kept then.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    signals: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    moment: { type: "string", default: "any" },
    kinds: { type: "string", default: "SIGINT,SIGTERM,SIGKILL" },
    "per-run": { type: "string", default: "3" },
    steps: { type: "string", default: "150" },
    quickstart: { type: "boolean", default: false },
  },
});
const stemma = join(import.meta.dirname, "../bin/stemma.js");
const folder = mkdtempSync(join(tmpdir(), "stemma-plug-"));
const kinds = options.kinds.split(",");
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGKILL: null };
let state = Number(options.seed) >>> 0;
/** Pseudo-random number in [0, 1): the mulberry32 generator. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let z = state;
  z = Math.imul(z ^ (z >>> 15), z | 1);
  z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
  return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
}

const words = (text) => text.split(" ");
const small = "--batch-size 4 --save-every 25 --threads 1";
const steps = (usual) => `--steps ${Math.min(usual, Number(options.steps))}`;
const stages = {
  pretrain: words(
    `pretrain --model gpt2 --data text.txt --tokenizer bpe-300 --layers 1 --heads 2 --width 16 --context 64 ${steps(150)} --sample-tokens 4 ${small}`,
  ),
  sft: words(`sft --model base/final --data talks.jsonl --max-new-tokens 4 ${steps(100)} ${small}`),
  reward: words(`reward --model sft/final --data pairs.jsonl ${steps(100)} ${small}`),
  dpo: words(`dpo --model sft/final --data pairs.jsonl --learning-rate 1e-4 ${steps(80)} ${small}`),
  ppo: words(
    `ppo --model sft/final --reward reward/final --prompts prompts.jsonl --answers 8 --max-new-tokens 8 --learning-rate 1e-4 --mini-batches 2 --kl-limit 1e9 ${steps(20)} ${small}`,
  ),
  grpo: words(
    `grpo --model sft/final --prompts prompts.jsonl --reward-pattern [aeiou] --answers 8 --generations 4 --max-new-tokens 8 --learning-rate 1e-4 --passes 2 --beta 0.1 ${steps(20)} ${small}`,
  ),
  distill: words(`distill --model base/final --teacher sft/final --text text.txt --context 32 ${steps(80)} ${small}`),
  finetune: words(`finetune --task classification --model base/final --data rows.jsonl ${steps(80)} ${small}`),
  ...(options.quickstart && { quickstart: words("quickstart --road base --steps 8 --threads 1") }),
};
/** Folder of the run within its output. */
const runOf = (stage, output) => (stage === "quickstart" ? join(output, "base") : output);

function writeData() {
  const write = (name, rows) =>
    writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const animals = ["cat", "dog", "cow", "hen", "fox", "owl", "bee", "ant"];
  const places = ["mat", "log", "hay", "bed", "box", "car"];
  const both = animals.flatMap((animal) => places.map((place) => ({ animal, place })));
  writeFileSync(
    join(folder, "text.txt"),
    both.map(({ animal, place }) => `The ${animal} sat on the ${place}. `.repeat(4)).join("\n"),
  );
  write(
    "talks.jsonl",
    both.map(({ animal, place }) => ({ prompt: `the ${animal}`, completion: `sat on the ${place}` })),
  );
  write(
    "prompts.jsonl",
    animals.map((animal) => ({ prompt: `the ${animal}` })),
  );
  write(
    "pairs.jsonl",
    both.map(({ animal, place }) => ({ prompt: `the ${animal}`, chosen: `sat on the ${place}`, rejected: place })),
  );
  write(
    "rows.jsonl",
    both.map(({ animal, place }) => ({ text: `the ${animal} on the ${place}`, label: place < "d" ? "low" : "high" })),
  );
}

/**
 * Runs a command, and sends it a signal: so many milliseconds after its start or, with `beyond`, after its log says that a
 * later step than that was made.
 */
async function run(args, kill) {
  const child = spawn(process.execPath, [stemma, ...args, "--json"], { cwd: folder });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  let isOver = false;
  const ended = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  void ended.then(() => (isOver = true));
  if (kill) {
    while (!isOver && kill.beyond !== null && lastStep(kill.metrics) <= kill.beyond) await after(2);
    if (kill.afterMs > 0) await Promise.race([ended, after(kill.afterMs)]);
    child.kill(kill.signal);
  }
  return { ...(await ended), result: parsed(stdout), stderr };
}

/** Number of the last step that a run's log says was made. */
function lastStep(metrics) {
  if (!existsSync(metrics)) return 0;
  return Number(/"step":(\d+)[^\n]*\n$/.exec(readFileSync(metrics, "utf8"))?.[1] ?? 0);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function fail(message, { stderr = "" } = {}) {
  process.stderr.write(`pull-the-plug: ${message}; kept in ${folder}\n${stderr}`);
  process.exit(1);
}

/** How long it takes, to its first and to its last step. */
async function runToTheEnd(args, metrics) {
  const start = performance.now();
  let [firstStepMs, lastStepMs, newest] = [0, 0, 0];
  const watch = setInterval(() => {
    const step = lastStep(metrics);
    if (step === newest) return;
    newest = step;
    lastStepMs = performance.now() - start;
    firstStepMs ||= lastStepMs;
  }, 2);
  const ended = await run(args);
  clearInterval(watch);
  if (ended.code !== 0) fail(`${args.join(" ")} ended with ${ended.code ?? ended.signal}`, ended);
  return { firstStepMs, lastStepMs, wholeMs: performance.now() - start };
}

/** Most of the time while it trains, sometimes before. */
function momentOf({ firstStepMs, lastStepMs }, beyond) {
  if (options.moment === "training") return { beyond, afterMs: 0 };
  if (random() < 0.2) return { beyond: null, afterMs: random() * firstStepMs };
  return { beyond, afterMs: random() * (lastStepMs - firstStepMs) };
}

const sent = Object.fromEntries(kinds.map((kind) => [kind, 0]));
const endings = { "stopped and saved": 0, "stopped before it began": 0, "was done already": 0, killed: 0 };

/** Sends one signal to a run that begins, or goes on, and says how far it came. */
async function interrupt(stage, args, output, times) {
  const signal = kinds[Math.floor(random() * kinds.length)];
  const metrics = join(folder, runOf(stage, output), "metrics.jsonl");
  const ended = await run(args, { signal, metrics, ...momentOf(times, lastStep(metrics)) });
  sent[signal] += 1;
  if (ended.code === exitCodes[signal] && ended.code !== null) {
    const step = savedStep(ended, runOf(stage, output));
    endings[step === null ? "stopped before it began" : "stopped and saved"] += 1;
    return { how: `${signal} ${step === null ? "before it began" : `at step ${step}`}`, step };
  }
  if (ended.signal === signal) {
    if (options.moment === "training" && signal !== "SIGKILL") fail(`${stage}: ${signal} was not handled`, ended);
    endings.killed += 1;
    return { how: `${signal} killed`, step: null };
  }
  if (ended.code !== 0) fail(`${stage}: ${signal} ended it with ${ended.code ?? ended.signal}`, ended);
  endings["was done already"] += 1;
  return { how: `${signal} too late`, step: null };
}

/** The step of which a stopped stage says that it has saved a checkpoint, which has to be there. */
function savedStep({ result, stderr }, output) {
  const step = result?.step ?? /stopped after step (\d+) and saved/.exec(stderr)?.[1];
  if (step === undefined) return null;
  const name = `checkpoint-${step}`;
  if (!existsSync(join(folder, output, name, "trainer_state.json"))) fail(`${output}: ${name} is not there`);
  return Number(step);
}

/** The end of a run has to be reached from the newest of what its parts have saved. */
function refuseLost(output, saved) {
  const { resumedFrom = "checkpoint-0" } = JSON.parse(readFileSync(join(folder, output, "settings.json"), "utf8"));
  if (Number(resumedFrom.split("-")[1]) < saved) fail(`${output} went on from ${resumedFrom}, step ${saved} was saved`);
}

/** The last step's checkpoint and the final model have the same bits in both. */
function compare(whole, other) {
  const { resolved } = JSON.parse(readFileSync(join(folder, whole, "settings.json"), "utf8"));
  for (const file of ["final/model.safetensors", `checkpoint-${resolved.steps}/optimizer.safetensors`]) {
    if (!readFileSync(join(folder, whole, file)).equals(readFileSync(join(folder, other, file)))) {
      fail(`${other}/${file} differs from ${whole}`);
    }
  }
}

writeData();
const durations = {};
// In this order, each finds the models that it starts from.
const places = {
  pretrain: "base",
  sft: "sft",
  reward: "reward",
  dpo: "dpo",
  ppo: "ppo",
  grpo: "grpo",
  distill: "distill",
  finetune: "cats",
};
for (const [stage, args] of Object.entries(stages)) {
  const output = places[stage] ?? stage;
  const metrics = join(folder, runOf(stage, output), "metrics.jsonl");
  durations[stage] = await runToTheEnd([...args, "--output", output], metrics);
  process.stdout.write(`${stage.padEnd(10)} undisturbed in ${(durations[stage].wholeMs / 1000).toFixed(1)} s\n`);
}

let left = Number(options.signals);
for (let number = 0; left > 0; number++) {
  const names = Object.keys(stages);
  const stage = names[number % names.length];
  const output = `${stage}-${number}`;
  const own = [...stages[stage], "--output", output];
  const hows = [];
  let saved = 0;
  for (let i = 0; i < Number(options["per-run"]) && left > 0; i++, left--) {
    const args = i === 0 ? own : [...own, "--resume"];
    const { how, step } = await interrupt(stage, args, output, durations[stage]);
    hows.push(how);
    saved = step ?? saved;
    if (how.endsWith("too late")) break;
  }
  await runToTheEnd([...own, "--resume"], join(folder, runOf(stage, output), "metrics.jsonl"));
  refuseLost(runOf(stage, output), saved);
  compare(runOf(stage, places[stage] ?? stage), runOf(stage, output));
  process.stdout.write(`${output.padEnd(14)} ${hows.join(", ")}: same bits\n`);
  rmSync(join(folder, output), { recursive: true });
}
rmSync(folder, { recursive: true });
const counts = [...Object.entries(sent), ...Object.entries(endings)].map(([name, count]) => `${name} ${count}`);
process.stdout.write(`nothing was lost: ${counts.join(", ")}\n`);

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { DataError, SettingsError } from "../core/errors.ts";
import { defineCommand } from "./command.ts";
import { commands } from "./index.ts";
import { main } from "./main.ts";
import type { Surroundings } from "./terminal.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const echo = defineCommand({
  name: "echo",
  summary: "show the settings it was given",
  group: "This machine",
  settings: z
    .object({
      data: z.array(z.string()).min(1).describe("what to read").meta({ placeholder: "path" }),
      steps: z
        .int()
        .positive()
        .default(10)
        .describe("steps to take")
        .meta({ aliases: ["max_steps"] }),
      batchSize: z.int().multipleOf(2).default(8).describe("sequences at once"),
      rate: z.number().max(1).default(0.1).describe("step size"),
      precision: z.enum(["float32", "bfloat16"]).default("float32").describe("number format"),
      shuffle: z.boolean().default(true).describe("random order"),
      resume: z.union([z.boolean(), z.string()]).default(false).describe("go on"),
      limit: z.number().nullable().default(5).describe("most of something"),
      stop: z.array(z.string()).default([]).describe("texts that end it").meta({ commas: false }),
    })
    .refine(({ steps, batchSize }) => steps !== batchSize, { path: ["steps"], error: "must differ from --batch-size" }),
  run: async (settings, io) => {
    io.print(JSON.stringify(settings));
    return { settings };
  },
});

const failing = defineCommand({
  name: "try that",
  summary: "fail in the way that is asked for",
  group: "This machine",
  settings: z.object({
    how: z.string().describe("kind of failure"),
    wholeWords: z.boolean().default(false).describe("whatever"),
  }),
  async run({ how }, io) {
    if (how === "taken apart") {
      const { print, write, note, fail, stopSignal, progress } = io;
      progress({ title: "try", total: 1 }).stop();
      note(`aborted: ${stopSignal().aborted}`);
      print("first");
      write("second");
      fail();
      return;
    }
    if (how === "known") throw new DataError("corpus.txt: is empty; give a text");
    if (how === "contradiction") throw new SettingsError("how: is for others; leave it out");
    if (how === "key") throw new SettingsError("wholeWords: is for others; leave it out");
    if (how === "no key") throw new SettingsError("halfWords: are for others; leave them out");
    if (how === "file") throw Object.assign(new Error("ENOENT: open x"), { code: "ENOENT", path: "x" });
    if (how === "found") {
      io.print("something is wrong");
      io.fail();
      return { ok: false };
    }
    if (how === "stop") {
      const signal = io.stopSignal();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return { saved: true };
    }
    throw new TypeError("x is not\na function");
  },
});

/** Runs a command line with streams of its own. */
async function stemma(...argv: string[]) {
  const around = surroundings();
  const code = await main(argv, around, [echo, failing]);
  return { code, stdout: around.stdout.text(), stderr: around.stderr.text() };
}

function surroundings() {
  const handlers = new Map<string, () => void>();
  const exits: number[] = [];
  const stream = () => {
    const through = new PassThrough();
    return Object.assign(through, { text: (): string => String(through.read() ?? "") });
  };
  return {
    stdin: new PassThrough(),
    stdout: stream(),
    stderr: stream(),
    environment: {},
    onSignal: (signal, handle) => void handlers.set(signal, handle),
    offSignal: (signal) => void handlers.delete(signal),
    exit: (code) => void exits.push(code),
    handlers,
    exits,
  } satisfies Surroundings & Record<string, unknown>;
}

async function settingsOf(...argv: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await stemma("echo", ...argv);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

test("what is not given has its default", async () => {
  expect(await settingsOf("--data", "a")).toEqual({
    data: ["a"],
    steps: 10,
    batchSize: 8,
    rate: 0.1,
    precision: "float32",
    shuffle: true,
    resume: false,
    limit: 5,
    stop: [],
  });
});

test.each<[string[], Record<string, unknown>]>([
  [["--batch-size", "4"], { batchSize: 4 }],
  [["--batch_size=4"], { batchSize: 4 }],
  [["--max-steps", "7"], { steps: 7 }],
  [["--max_steps", "7", "--steps", "9"], { steps: 9 }],
  [["--rate", "-1e-3"], { rate: -0.001 }],
  [["--no-shuffle"], { shuffle: false }],
  [["--shuffle", "False"], { shuffle: false }],
  [["--resume"], { resume: true }],
  [["--resume", "checkpoint-5"], { resume: "checkpoint-5" }],
  [["--limit", "none"], { limit: null }],
  [["--data", "b,c", "--data", "d", "e"], { data: ["a", "b", "c", "d", "e"] }],
  [["--stop", "a,b", "--stop", "--x_y"], { stop: ["a,b", "--x_y"] }],
])("%j gives %j", async (flags, expected) => {
  expect(await settingsOf("--data", "a", ...flags)).toMatchObject(expected);
});

test("the command line counts more than the file, and the file more than defaults", async () => {
  const config = join(folder, "run.yaml");
  writeFileSync(config, "data: [x.txt]\nmax_steps: 5\nbatch-size: 2\nrate: 0.5\n");
  const settings = await settingsOf("--config", config, "--rate", "0.25");
  expect(settings).toMatchObject({ data: ["x.txt"], steps: 5, batchSize: 2, rate: 0.25, precision: "float32" });
});

test("the settings record of a run is a settings file", async () => {
  const config = join(folder, "settings.json");
  writeFileSync(config, JSON.stringify({ command: "echo", settings: { data: ["y"], steps: 3 }, machine: {} }));
  expect(await settingsOf("--config", config)).toMatchObject({ data: ["y"], steps: 3 });
});

test.each([
  [["ecco"], 'stemma: unknown command "ecco"; did you mean echo?'],
  [["banana"], 'stemma: unknown command "banana"; see stemma --help'],
  [["try", "taht"], 'stemma: unknown command "try taht"; did you mean try that?'],
  [["echo", "--stesp", "3"], "echo: unknown flag --stesp; did you mean --steps?"],
  [["echo", "--zzz"], "echo: unknown flag --zzz; see stemma echo --help"],
  [["echo", "--steps"], "echo: --steps needs a value; see stemma echo --help"],
  [["echo", "file.txt"], 'echo: unexpected argument "file.txt"; every value follows its flag; see stemma echo --help'],
  [["echo"], "echo: --data is missing; give --data <path...> (what to read)"],
  [["echo", "--data", "a", "--steps", "0"], "echo: --steps must be more than 0, got 0"],
  [["echo", "--data", "a", "--steps", "1.5"], "echo: --steps must be an integer, got 1.5"],
  [["echo", "--data", "a", "--steps", "1e3000"], "echo: --steps must be a number that can be counted with, got 1e3000"],
  [["echo", "--data", "a", "--rate", "-1e999"], "echo: --rate must be a number that can be counted with, got -1e999"],
  [["echo", "--data", "a", "--steps", "many"], 'echo: --steps must be a number, got "many"'],
  [["echo", "--data", "a", "--rate", "2"], "echo: --rate must be at most 1, got 2"],
  [["echo", "--data", "a", "--batch-size", "3"], "echo: --batch-size must be a multiple of 2, got 3"],
  [
    ["echo", "--data", "a", "--precision", "bfloat61"],
    'echo: --precision must be one of float32, bfloat16, got "bfloat61"; did you mean bfloat16?',
  ],
  [["echo", "--data", "a", "--steps", "8"], "echo: --steps: must differ from --batch-size"],
  [
    ["echo", "--data", "a", "--steps", "0", "--rate", "x"],
    'echo: --steps must be more than 0, got 0; also --rate must be a number, got "x"',
  ],
])("%j is wrong usage, explained in a line", async (argv, message) => {
  expect(await stemma(...argv)).toEqual({ code: 2, stdout: "", stderr: `${message}\n` });
});

test.each([
  ["stesp: 3", "unknown setting stesp in FILE; did you mean steps?"],
  ["steps: 0", "steps in FILE must be more than 0, got 0"],
  ["data: 5", "data in FILE (entry 1) must be text, got 5"],
  ["data: [a, 5]", "data in FILE (entry 2) must be text, got 5"],
  ["- a", 'FILE holds ["a"]; write one "key: value" a line'],
  ["steps: [", /^FILE is no valid YAML: .* at line 1, column \d+; write one "key: value" a line$/],
])("the file %j is wrong usage, explained in a line", async (yaml, message) => {
  const config = join(folder, "run.yaml");
  writeFileSync(config, yaml);
  const { code, stderr } = await stemma(
    "echo",
    ...(yaml.startsWith("data") ? [] : ["--data", "a"]),
    "--config",
    config,
  );
  const [, said] = /^echo: (.*)\n$/.exec(stderr.replaceAll(config, "FILE")) ?? [];
  expect(code).toBe(2);
  expect(said).toEqual(message instanceof RegExp ? expect.stringMatching(message) : message);
});

test("a file that nests without end is wrong usage", async () => {
  const config = join(folder, "run.yaml");
  writeFileSync(config, `data: ${"[".repeat(50_000)}`);
  const { code, stderr } = await stemma("echo", "--config", config);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^echo: .* is no valid YAML: .*; write one [^\n]*\n$/)]);
});

test("one value in a file may stand for a list of one", async () => {
  const config = join(folder, "run.yaml");
  writeFileSync(config, "data: a, b.txt\n");
  const { stdout } = await stemma("echo", "--config", config, "--json");
  expect(JSON.parse(stdout)).toMatchObject({ settings: { data: ["a, b.txt"] } });
});

test("a file that is not there is wrong usage", async () => {
  const { code, stderr } = await stemma("echo", "--config", "no.yaml");
  expect([code, stderr]).toEqual([2, "echo: --config no.yaml does not exist; check the path\n"]);
});

test.each([
  [[], "something is wrong\n"],
  [["--json"], '{"ok":false}\n'],
])("a command that found something wrong shows its result and exits with 1 (%j)", async (flags, stdout) => {
  expect(await stemma("try", "that", "--how", "found", ...flags)).toEqual({ code: 1, stdout, stderr: "" });
});

test("what a command may do, it may do with functions taken off their object", async () => {
  const ended = { code: 1, stdout: "first\nsecond", stderr: "aborted: false\n" };
  expect(await stemma("try", "that", "--how", "taken apart")).toEqual(ended);
});

test("a combination of flags that only the command can judge is wrong usage", async () => {
  const stderr = "try that: how: is for others; leave it out\n";
  expect(await stemma("try", "that", "--how", "contradiction")).toEqual({ code: 2, stdout: "", stderr });
});

test("a setting is named as its flag is typed", async () => {
  const said = async (how: string): Promise<string> => (await stemma("try", "that", "--how", how)).stderr;
  expect(await said("key")).toBe("try that: whole-words: is for others; leave it out\n");
  expect(await said("no key")).toBe("try that: halfWords: are for others; leave them out\n");
});

test.each([
  ["known", "try that: corpus.txt: is empty; give a text\n"],
  ["file", "try that: x does not exist; check the path\n"],
  ["bug", "try that: unexpected failure: x is not a function; run it again with --debug to see where\n"],
])("a %s failure is one line and exit code 1", async (how, stderr) => {
  expect(await stemma("try", "that", "--how", how)).toEqual({ code: 1, stdout: "", stderr });
});

test("--debug shows where an error comes from", async () => {
  const { stderr } = await stemma("try", "that", "--how", "bug", "--debug");
  expect(stderr).toMatch(/TypeError: x is not[\s\S]+ at .*main\.test\.ts/);
});

test("--json prints nothing but one JSON object", async () => {
  const { stdout } = await stemma("echo", "--data", "a", "--json");
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({ settings: { data: ["a"] } });
});

test("a signal stops a command that saves first, and one that comes later ends the process", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const around = surroundings();
    const done = main(["try", "that", "--how", "stop"], around, [failing]);
    await expect.poll(() => around.handlers.has("SIGINT")).toBe(true);
    around.handlers.get("SIGINT")?.();
    around.handlers.get("SIGTERM")?.(); // delivered with the first
    around.handlers.get("SIGINT")?.();
    expect(around.exits).toEqual([]);
    vi.advanceTimersByTime(1000);
    around.handlers.get("SIGINT")?.();
    expect(around.exits).toEqual([130]);
    expect(await done).toBe(130);
    expect(around.handlers.size).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("help shows every flag with its default, and hides other spellings", async () => {
  const { code, stdout } = await stemma("echo", "--help");
  expect(code).toBe(0);
  expect(stdout).toMatch(/--data <path\.\.\.> +what to read \(required\)/);
  expect(stdout).toMatch(/--steps <n> +steps to take \(default: 10\)/);
  expect(stdout).toMatch(/--\[no-\]shuffle +random order \(default: yes\)/);
  expect(stdout).toMatch(/--resume \[text\] +go on\n/);
  expect(stdout).toMatch(/--precision <float32\|bfloat16> +number format \(default: float32\)/);
  expect(stdout).not.toContain("max");
  expect((await stemma("help", "echo")).stdout).toBe(stdout);
});

test("without a command there is help, and every command of the program has one", async () => {
  expect((await stemma()).stdout).toMatch(/echo +show the settings it was given/);
  for (const command of commands) {
    const around = surroundings();
    expect(await main([...command.name.split(" "), "--help"], around)).toBe(0);
    expect(around.stdout.text()).toContain(command.summary);
  }
});

test("the version is the package's", async () => {
  expect((await stemma("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("words after a command are its values, and a command may have commands of its own", async () => {
  const ask = async (...argv: string[]) => {
    const around = surroundings();
    const code = await main(argv, around, commands);
    return { code, stdout: around.stdout.text(), stderr: around.stderr.text() };
  };
  const missing = "runs plot: <run...> is missing; give <run...> (folders of the runs)\n";
  expect(await ask("runs", "plot")).toEqual({ code: 2, stdout: "", stderr: missing });
  const output = join(folder, "x.svg");
  const { code, stderr } = await ask("runs", "plot", folder, "b,c", "--json", "--output", output);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`${folder} holds no run`)]);
  expect(await ask("runs", folder, folder, "--json")).toMatchObject({ code: 0, stdout: '{"runs":[]}\n' });
  expect((await ask("runs", "show", "a", "b")).stderr).toContain('unexpected argument "b"');
  expect((await ask("runs", "--help")).stdout).toContain("Usage: stemma runs [folder...]");
  expect((await ask("tokenizer", "--help")).stdout).toContain("train · encode · decode");
});

test("a path may begin with the home folder, also where no shell puts it in", async () => {
  const { homedir } = await import("node:os");
  expect(await settingsOf("--data=~/a,~", "--data", "b/~/c", "--stop", "~/no-path")).toMatchObject({
    data: [join(homedir(), "a"), homedir(), "b/~/c"],
    stop: ["~/no-path"],
  });
  const config = join(folder, "settings.yaml");
  writeFileSync(config, "data: [~/from/a/file]\n");
  expect(await settingsOf("--config", config)).toMatchObject({ data: [join(homedir(), "from/a/file")] });
});

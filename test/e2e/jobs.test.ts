import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Job } from "../../src/serve/api/job-answers.ts";
import { JobFolder } from "./job-folder.ts";
import type { Answer, RunningServer } from "./running-server.ts";
import { isAlive, until } from "./running-server.ts";

const folder = new JobFolder();
const { runs, writer, talks } = folder;
const steps = (run: string): number[] => folder.steps(run);
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  server = await folder.start("--runs", runs, "--allow-jobs");
}, 120_000);
afterAll(() => folder.removeWith(server));

const long = { model: writer, data: [talks], steps: "1000000", batchSize: "1", validationShare: "0" };

async function jobOf(run: string, at = server): Promise<Job> {
  const { body } = await at.get("/api/jobs");
  return body.jobs.find((job: Job) => job.run === run);
}

async function start(output: string, settings: object): Promise<Answer> {
  return server.post("/api/jobs", { command: "sft", settings: { ...settings, output } });
}

function pidOf(run: string): number {
  return JSON.parse(readFileSync(join(runs, run, "job.json"), "utf8")).process.pid;
}

function checkpoints(run: string): string[] {
  return readdirSync(join(runs, run)).filter((name) => name.startsWith("checkpoint-"));
}

test("a job saves when it is stopped, and goes on from there when it is resumed", async () => {
  expect((await start("walk", long)).body).toMatchObject({ run: "walk", command: "sft", state: "running" });
  await until(() => steps("walk").length > 3);
  const pid = pidOf("walk");
  expect((await server.post("/api/jobs/stop", { run: "walk" })).body.state).toBe("stopping");
  await until(async () => (await jobOf("walk")).state === "stopped");
  expect(isAlive(pid)).toBe(false);
  const [checkpoint = ""] = checkpoints("walk");
  expect(await jobOf("walk")).toMatchObject({ canResume: true, lastLine: expect.stringContaining("--resume") });
  const reached = Number(checkpoint.split("-")[1]);
  const twoTabs = ["walk", "walk"].map((run) => server.post("/api/jobs/resume", { run }));
  expect((await Promise.all(twoTabs)).map(({ status }) => status)).toEqual([200, 409]);
  await until(() => (steps("walk").at(-1) ?? 0) > reached + 1);
  await server.post("/api/jobs/kill", { run: "walk" });
  await until(async () => (await jobOf("walk")).state === "stopped");
  const all = steps("walk");
  expect(all).toEqual([...new Set(all)].sort((a, b) => a - b)); // nothing twice
  expect(await jobOf("walk")).toMatchObject({ command: "sft", settings: { steps: ["1000000"] } });
});

test("a job outlives its server, and the next one knows it", async () => {
  await start("outlives", long);
  await until(() => steps("outlives").length > 1);
  const pid = pidOf("outlives");
  await server.stop("SIGKILL");
  expect(isAlive(pid)).toBe(true);
  server = await folder.start("--runs", runs, "--allow-jobs");
  expect(await jobOf("outlives"), readFileSync(join(runs, "outlives/job.log"), "utf8")).toMatchObject({
    state: "running",
    settings: { data: [talks] },
  });
  const { length } = steps("outlives");
  await until(() => steps("outlives").length > length);
  await server.post("/api/jobs/stop", { run: "outlives" });
  await until(async () => (await jobOf("outlives")).state === "stopped");
  expect(isAlive(pid)).toBe(false);
  expect(checkpoints("outlives")).toHaveLength(1);
});

test("a job that ends is finished, one whose data is wrong failed with its reason, and both keep what they said", async () => {
  await start("short", { ...long, steps: "2" });
  await until(async () => (await jobOf("short")).state === "finished");
  expect(existsSync(join(runs, "short/final/config.json"))).toBe(true);
  expect((await jobOf("short")).canResume).toBe(false);
  expect((await server.post("/api/jobs/resume", { run: "short" })).status).toBe(409);
  const { body: log } = await server.get("/api/jobs/log?run=short&from=0");
  expect(log.text).toMatch(/model in .*short\/final\n$/);
  expect((await server.get(`/api/jobs/log?run=short&from=${log.next}`)).body).toEqual({
    text: "",
    from: log.next,
    next: log.next,
  });
  const { body: forms } = await server.get("/api/stages");
  // It is served, and another job may begin with it.
  expect((await server.get("/v1/models")).body.data).toContainEqual(expect.objectContaining({ id: "short" }));
  expect(forms.places).toContainEqual({ name: join(runs, "short/final"), kind: "model" });
  writeFileSync(join(runs, "wrong.jsonl"), '{"text": 1}\n');
  await start("wrong", { ...long, data: [join(runs, "wrong.jsonl")] });
  await until(async () => (await jobOf("wrong")).state === "failed");
  expect((await jobOf("wrong")).lastLine).toMatch(/^sft: .*wrong\.jsonl/);
});

test("as many jobs run as may, however many are asked for at once", async () => {
  const names = ["one", "two", "three", "four", "five"];
  const answers = await Promise.all(names.map((name) => start(name, long)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 429]);
  const refused = answers.findIndex(({ status }) => status === 429);
  expect(existsSync(join(runs, names[refused] ?? ""))).toBe(false);
  const running = names.filter((_, i) => i !== refused);
  for (const run of running) await server.post("/api/jobs/kill", { run });
  await until(async () =>
    (await Promise.all(running.map((run) => jobOf(run)))).every(({ endedAt }) => endedAt !== null),
  );
});

test("settings that do not fit come back for each field, and begin nothing", async () => {
  const { status, body } = await start("never", { ...long, steps: "-1", model: "/etc", learningRate: "fast" });
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ param: "settings.model", code: "invalid_settings" });
  expect(body.error.fields).toEqual({
    model: expect.stringContaining('"/etc" is no model folder that this server knows'),
    steps: "--steps must be at least 0, got -1",
    learningRate: '--learning-rate must be a number, got "fast"',
  });
  expect(existsSync(join(runs, "never"))).toBe(false);
  expect((await start("short", long)).body.error.fields).toEqual({ output: expect.stringContaining("there already") });
  expect((await server.post("/api/jobs", { command: "export", settings: {} })).status).toBe(404);
});

test("only what is in the folder of runs is stopped, read and resumed", async () => {
  for (const run of ["", "..", "../runs/short", "short/", "writer", "/etc", "short\0"]) {
    expect((await server.post("/api/jobs/stop", { run })).status, run).toBe(404);
    expect((await server.get(`/api/jobs/log?run=${encodeURIComponent(run)}`)).status, run).toBe(404);
  }
  // Settings of another's run name what no request may: a file outside.
  mkdirSync(join(runs, "foreign"));
  const settings = { model: "/elsewhere/model", data: [talks], output: join(runs, "foreign") };
  writeFileSync(join(runs, "foreign/settings.json"), JSON.stringify({ command: "sft", settings }));
  const { status, body } = await server.post("/api/jobs/resume", { run: "foreign" });
  expect([status, body.error.message]).toEqual([409, expect.stringContaining("its setting model is no path")]);
  // A record that claims a process of this machine: it is not this one, which began at another time.
  const mark = { pid: process.pid, host: "elsewhere", started: "1" };
  const record = { command: "sft", commandLine: "", settings: {}, startedAt: "", process: mark, ended: null };
  writeFileSync(join(runs, "foreign/job.json"), JSON.stringify(record));
  expect((await server.post("/api/jobs/kill", { run: "foreign" })).status).toBe(409);
});

test("a server that was not told to start jobs refuses, and says how it would", async () => {
  const quiet = await folder.start("--model", writer, "--runs", runs);
  for (const answer of [await quiet.get("/api/jobs"), await quiet.post("/api/jobs/stop", { run: "walk" })]) {
    expect(answer.status).toBe(403);
    expect(answer.body.error).toMatchObject({
      code: "jobs_not_allowed",
      message: expect.stringContaining("--allow-jobs"),
    });
  }
  await quiet.stop();
});

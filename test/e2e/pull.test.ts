import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { families } from "../../src/models/index.ts";
import { commit, FakeHub } from "../fake-hub.ts";
import { writeSmallModel } from "../small-model.ts";
import { stemma } from "./stemma.ts";

let hub: FakeHub;
let folder = "";
const environment = (): Record<string, string> => ({ HF_HOME: join(folder, "home"), HF_ENDPOINT: hub.endpoint });
const snapshot = (): string => join(folder, "home/hub/models--org--tiny/snapshots", commit);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stemma-pull-"));
  hub = await FakeHub.start();
  await writeSmallModel(join(folder, "model"), families.gpt2);
  const names = readdirSync(join(folder, "model"));
  const files = names.map((name) => [name, readFileSync(join(folder, "model", name))]);
  hub.repositories["org/tiny"] = { ...Object.fromEntries(files), "pytorch_model.bin": "pickle" };
});
beforeEach(() => {
  rmSync(join(folder, "home"), { recursive: true, force: true });
  hub.fault = () => false;
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const run = (args: readonly string[], more: Record<string, string> = {}) =>
  stemma(args, { cwd: folder, environment: { ...environment(), ...more } });

test("a model is pulled, and generates by its name without a network", async () => {
  const pulled = await run(["pull", "org/tiny"]);
  expect([pulled.code, pulled.stdout]).toEqual([0, `${snapshot()}\n`]);
  expect(pulled.stderr).toMatch(/^pull 0 B\/\d+ kB {2}\S+\n(.*\n)*org\/tiny@0123456789abcdef\w+: \d+ kB fetched\n$/);
  const generate = ["generate", "--prompt", "the", "--max-new-tokens", "4", "--temperature", "0"];
  const named = await run([...generate, "--model", "hub:org/tiny"], { HF_HUB_OFFLINE: "1" });
  const local = await run([...generate, "--model", "model"]);
  expect([named.code, named.stdout]).toEqual([0, local.stdout]);
});

test("a run that began from the hub records the commit, and goes on when the cache was emptied", async () => {
  const rows = '{"text":"the earth the heaven the earth the heaven"}\n'.repeat(4);
  writeFileSync(join(folder, "text.jsonl"), rows);
  const train = ["pretrain", "--output", "run", "--steps"];
  const begun = await run([...train, "1", "--data", "text.jsonl", "--model", "hub:org/tiny", "--context", "8"]);
  expect([begun.code, begun.stderr]).toEqual([0, expect.any(String)]);
  const record = readFileSync(join(folder, "run/settings.json"), "utf8");
  expect(JSON.parse(record)).toMatchObject({ settings: { model: `hub:org/tiny@${commit}` } });
  rmSync(join(folder, "home"), { recursive: true });
  const resumed = await run([...train, "2", "--resume"]);
  expect([resumed.code, resumed.code === 0 ? "" : resumed.stderr]).toEqual([0, ""]);
});

/** Starts a pull, sends it a signal when some of the weights are there, and gives how it ended. */
async function stopped(signal: NodeJS.Signals): Promise<{ code: number | null; said: string }> {
  const bytes = Buffer.from(hub.repositories["org/tiny"]?.["model.safetensors"] ?? "");
  hub.fault = ({ url }, response) => {
    if (url !== "/org/tiny/model.safetensors") return false;
    response.writeHead(200, { "content-length": bytes.length }).write(bytes.subarray(0, 1000));
    return true;
  };
  const bin = join(import.meta.dirname, "../../bin/stemma.js");
  const child = spawn(process.execPath, [bin, "pull", "org/tiny"], { env: { ...process.env, ...environment() } });
  let said = "";
  child.stderr.on("data", (data: Buffer) => {
    said += data.toString();
  });
  const closed = once(child, "close");
  const blobs = join(folder, "home/hub/models--org--tiny/blobs");
  const isThere = (): boolean => readdirSync(blobs).some((name) => statSync(join(blobs, name)).size === 1000);
  await vi.waitUntil(() => existsSync(blobs) && isThere(), { timeout: 60_000 });
  child.kill(signal);
  const [code] = await closed;
  hub.fault = () => false;
  expect(readdirSync(join(folder, "home/hub/models--org--tiny"))).toEqual(["blobs"]);
  return { code, said };
}

test.each(["SIGINT", "SIGKILL"] as const)("%s leaves what was fetched, and no snapshot", async (signal) => {
  if (signal === "SIGINT" && process.platform === "win32") return; // signals end processes there
  const { code, said } = await stopped(signal);
  if (signal === "SIGINT") {
    expect([code, said]).toEqual([
      130,
      expect.stringContaining("stopped; what was fetched stays, and the same command"),
    ]);
  }
  hub.asked.length = 0;
  const both = await Promise.all([run(["pull", "org/tiny"]), run(["pull", "org/tiny"])]);
  expect(both.map(({ code: ended, stdout }) => [ended, stdout])).toEqual(Array(2).fill([0, `${snapshot()}\n`]));
  const ranges = hub.asked.filter(({ server }) => server === "store").map(({ range }) => range);
  expect(ranges).toContain("bytes=1000-"); // by the one that came first; the other fetches all of it, or finds it there
  for (const name of ["model.safetensors", "config.json"]) {
    const same = readFileSync(join(snapshot(), name)).equals(readFileSync(join(folder, "model", name)));
    expect([name, same]).toEqual([name, true]);
  }
});

test("what is wrong is said in one line", async () => {
  expect(await run(["generate", "--prompt", "a", "--model", "hub:org/none"])).toMatchObject({
    ...{ code: 1, stdout: "" },
    stderr:
      "generate: org/none: does not exist or is private (404); check the name, and set HF_TOKEN if it is private\n",
  });
  expect(await run(["pull", "https://host/org/tiny"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^pull: "https:\/\/host\/org\/tiny": .*; write ORG\/NAME, [^\n]*\n$/),
  });
});

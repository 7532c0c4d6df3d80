import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { checksum, commit, FakeHub } from "../../test/fake-hub.ts";
import { flagsOf } from "../core/flags.ts";
import { withHubModels } from "./hub-models.ts";

const flags = flagsOf(
  z.object({
    model: z.string().meta({ placeholder: "folder" }),
    runs: z.array(z.string()).meta({ placeholder: "run" }),
    tokenizer: z.string().meta({ placeholder: "name|folder" }),
    output: z.string().meta({ placeholder: "folder" }),
    prompt: z.string(),
  }),
);

let hub: FakeHub;
let home = "";
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "stemma-hub-"));
  hub = await FakeHub.start();
  hub.repositories["org/tiny"] = { "config.json": "{}", "tokenizer.json": "{ }", "model.safetensors": "weights" };
  vi.stubEnv("HF_HOME", home);
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

async function resolved(values: Record<string, unknown>): Promise<{ values: Record<string, unknown>; said: string[] }> {
  const said: string[] = [];
  const io = {
    note: (line: string) => void said.push(line),
    progress: ({ title, total, count = String }: { title: string; total: number; count?: (n: number) => string }) => ({
      update: (done: number, [file]: readonly string[]) =>
        void said.push(`${title} ${count(done)}/${count(total)} ${file}`),
      stop: () => void said.push("bar stopped"),
    }),
    stopSignal: () => new AbortController().signal,
  };
  return { values: await withHubModels(values, flags, io), said };
}

test("models of the hub become folders, whatever else a setting holds stays", async () => {
  const snapshot = join(home, "hub/models--org--tiny/snapshots", commit);
  const first = await resolved({ model: "hub:org/tiny", runs: ["a", "hub:org/tiny"], prompt: "hub:org/tiny" });
  expect(first.values).toEqual({ model: snapshot, runs: ["a", snapshot], prompt: "hub:org/tiny" });
  expect(first.said).toEqual([
    "pull 0 B/12 B config.json",
    "pull 2 B/12 B config.json",
    "pull 5 B/12 B tokenizer.json",
    "pull 12 B/12 B model.safetensors",
    "bar stopped",
  ]);
  expect((await resolved({ model: "hub:org/tiny:model.safetensors" })).values).toEqual({
    model: join(snapshot, "model.safetensors"),
  });
});

test("a tokenizer is fetched without weights", async () => {
  const { values } = await resolved({ tokenizer: "hub:org/tiny" });
  expect(readdirSync(String(values.tokenizer)).sort()).toEqual(["config.json", "tokenizer.json"]);
  expect(readdirSync(join(home, "hub/models--org--tiny/blobs"))).not.toContain(
    checksum("model.safetensors", "weights"),
  );
});

test("nothing is written to the hub", async () => {
  await expect(resolved({ output: "hub:org/tiny" })).rejects.toThrow(
    "--output: hub:org/tiny is read from the hub, not written to it; give a path",
  );
});

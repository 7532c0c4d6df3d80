import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stemma } from "./stemma.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-runs-"));
  chmodSync(folder, 0o755);
  writeFileSync(at("text.txt"), "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
});
afterEach(() => rmSync(folder, { recursive: true }));

const shape = "--tokenizer characters --layers 1 --heads 2 --width 16 --context 16 --batch-size 4 --sample-tokens 2";
const pretrain = (output: string, ...more: string[]): string[] => [
  "pretrain",
  ...shape.split(" "),
  "--output",
  output,
  ...more,
];

test("of two processes started on one folder exactly one goes on, and the other says why in a line", async () => {
  const args = pretrain(at("run"), "--data", at("text.txt"), "--steps", "800");
  const ends = (await Promise.all([stemma(args), stemma(args)])).sort((a, b) => Number(a.code) - Number(b.code));
  expect(ends.map(({ code }) => code)).toEqual([0, 1]);
  expect(ends[1]?.stderr).toMatch(/^pretrain: \S+ is being written by process \d+; wait for it or [^\n]+\n$/);
  expect(existsSync(at("run", "final", "model.safetensors"))).toBe(true);
  expect(readdirSync(at("run")).filter((name) => name.includes("lock"))).toEqual([]);
});

test("in a folder where nothing was trained yet, runs says so", async () => {
  const { code, stdout } = await stemma(["runs"], { cwd: folder });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^there are no runs in runs; a stage makes one/)]);
  const other = await stemma(["runs", "elsewhere"], { cwd: folder });
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("elsewhere: cannot read: it does not exist")]);
});

test("sources with weights, a glob among them", async () => {
  mkdirSync(at("news"));
  for (const name of ["b", "a"]) writeFileSync(at("news", `${name}.txt`), "The dog sat on the mat.\n".repeat(40));
  const data = ["--data", `${at("text.txt")}=3`, "--data", `${at("news", "*.txt")}=1`];
  const { code, stderr } = await stemma(pretrain(at("run"), ...data, "--steps", "2"));
  expect([code, stderr]).toEqual([0, expect.stringContaining("tokens to train on")]);
  const record = JSON.parse(readFileSync(at("run", "settings.json"), "utf8"));
  expect(record.data.data.map(({ path }: { path: string }) => path)).toEqual([
    at("text.txt"),
    at("news", "a.txt"),
    at("news", "b.txt"),
  ]);
  const half = await stemma(
    pretrain(at("other"), "--data", `${at("text.txt")}=3`, "--data", at("news"), "--steps", "2"),
  );
  expect(half).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^pretrain: data: \S+ has a weight and \S+ has none/),
  });
  expect(existsSync(at("other"))).toBe(false);
});

test("a folder that cannot be written is refused in a line that says so", async (context) => {
  context.skip(process.platform === "win32", "permissions are others there");
  mkdirSync(at("closed"));
  chmodSync(at("closed"), 0o555);
  const bin = join(import.meta.dirname, "../../bin/stemma.js");
  // Whoever may do everything becomes nobody for this.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  for (const output of [at("closed"), at("closed", "run")]) {
    const args = [bin, ...pretrain(output, "--data", at("text.txt"), "--steps", "2")];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: folder, ...user });
    expect(stderr).toMatch(/^pretrain: \S+\/closed\S*: cannot write: permission denied; [^\n]+\n$/);
    expect(status).toBe(1);
  }
  expect(readdirSync(at("closed"))).toEqual([]);
});

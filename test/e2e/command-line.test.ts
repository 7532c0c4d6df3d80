import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stemma } from "./stemma.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-e2e-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("help and version", async () => {
  const help = await stemma([]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  expect(help.stdout).toContain("Usage: stemma <command>");
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  expect(await stemma(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("an unknown flag suggests the near one", async () => {
  expect(await stemma(["env", "--jsno"])).toEqual({
    code: 2,
    stdout: "",
    stderr: "env: unknown flag --jsno; did you mean --json?\n",
  });
});

test("an unknown command suggests the near one", async () => {
  const { code, stderr } = await stemma(["enf"]);
  const line = 'stemma: unknown command "enf"; did you mean env?\n';
  expect([code, stderr]).toEqual([2, line]);
  for (const asked of [
    ["help", "enf"],
    ["enf", "--help"],
  ]) {
    expect(await stemma(asked)).toMatchObject({ code: 2, stdout: "", stderr: line });
  }
});

test("--json ends standard output with one object", async () => {
  const { code, stdout } = await stemma(["env", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ node: process.versions.node });
});

test("a settings file with a key that does not exist is wrong usage", async () => {
  const config = join(folder, "env.yaml");
  writeFileSync(config, "colour: red\n");
  expect(await stemma(["env", "--config", config])).toMatchObject({
    code: 2,
    stderr: `env: unknown setting colour in ${config}; stemma env --help lists them\n`,
  });
});

test("a reader that stops reading is no failure", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../bin/stemma.js"), "--help"]);
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect([code, stderr]).toEqual([0, ""]);
});

test("env tells what computes, and why it is not the native backend", async () => {
  const report = async (environment: Record<string, string>) => {
    const { stdout, code } = await stemma(["env", "--json"], { environment });
    expect(code).toBe(0);
    return JSON.parse(stdout).backend;
  };
  expect(await report({ STEMMA_BACKEND: "reference" })).toEqual({
    ...{ name: "reference", instructionSet: null, threads: 1 },
    reason: expect.stringContaining("STEMMA_BACKEND asks for it"),
  });
  expect(await report({ STEMMA_BACKEND: "abacus" })).toMatchObject({
    ...{ name: null, reason: "STEMMA_BACKEND: there is none called abacus; choose one of native, reference" },
  });
});

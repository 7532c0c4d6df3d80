import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A package with one source file, and a node-gyp that does what a test says. */
let root = "";
const at = (...parts: string[]): string => join(root, ...parts);
const addon = (): string => at("build/Release/stemma.node");

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stemma-build-native-"));
  for (const folder of ["scripts", "native", "build/Release", "tools"]) mkdirSync(at(folder), { recursive: true });
  for (const script of ["build-native.mjs", "lock.mjs"]) {
    copyFileSync(join(import.meta.dirname, "../../scripts", script), at("scripts", script));
  }
  writeFileSync(at("binding.gyp"), "{}");
  writeFileSync(at("native/addon.cpp"), "first");
});
afterEach(() => rmSync(root, { recursive: true }));

const succeeding = (): string => {
  const built = join(import.meta.dirname, "../../build/Release/stemma.node");
  return `require("node:fs").copyFileSync(${JSON.stringify(built)}, ${JSON.stringify(addon())});`;
};
const failing = 'console.error("addon.cpp:1:1: error: no such thing"); process.exit(1);';

/** Whether the next start would leave the addon as it is, then what building says. */
function build(nodeGyp: string): { settled: boolean; said: string } {
  writeFileSync(at("node-gyp.cjs"), nodeGyp);
  const env = { ...process.env, PATH: at("tools"), npm_config_node_gyp: at("node-gyp.cjs") };
  const script = at("scripts/build-native.mjs");
  const asked = `console.log((await import(${JSON.stringify(script)})).addonIsSettled())`;
  const settled = spawnSync(process.execPath, ["--input-type=module", "--eval", asked], { env, encoding: "utf8" });
  const { stdout, status } = spawnSync(process.execPath, [script], { env, encoding: "utf8" });
  expect(status).toBe(0);
  return { settled: settled.stdout.trim() === "true", said: stdout };
}

test("a build that failed is remembered as one, and tried again when something changed", () => {
  const first = build(failing);
  expect(first.settled).toBe(false);
  expect(first.said).toMatch(/building the native backend … not possible \(addon\.cpp:1:1: error: no such thing\)/);
  expect(first.said).toContain(`run \`node ${at("scripts/build-native.mjs")} --verbose\``);
  expect(JSON.parse(readFileSync(at("build/stemma.json"), "utf8")).failure).toMatch(/error: no such thing/);
  expect(build(failing).settled).toBe(true); // and yet whoever asks for a build gets another attempt

  writeFileSync(at("tools", process.platform === "darwin" ? "clang++" : "g++"), "");
  expect(build(failing).settled).toBe(false); // a compiler was installed
  writeFileSync(at("native/addon.cpp"), "second");
  expect(build(succeeding())).toMatchObject({ settled: false, said: expect.stringMatching(/ done in [\d.]+ s\n$/) });
  expect(build(failing)).toEqual({ settled: true, said: "" });
});

test("an addon of older sources does not outlive a build that failed", () => {
  build(succeeding());
  expect(existsSync(addon())).toBe(true);
  writeFileSync(at("native/addon.cpp"), "second");
  build(failing);
  expect(existsSync(addon())).toBe(false);
});

test("an addon that was cut short is built again", () => {
  build(succeeding());
  writeFileSync(addon(), readFileSync(addon()).subarray(0, 50_000));
  expect(build(succeeding())).toMatchObject({ settled: false, said: expect.stringMatching(/ done in /) });
  expect(build(failing)).toEqual({ settled: true, said: "" });
});

test("an addon that does not load was not built", () => {
  const { said } = build(`require("node:fs").writeFileSync(${JSON.stringify(addon())}, "no library");`);
  expect(said).toMatch(/not possible \(error: the addon was built and does not load: /);
  expect(existsSync(addon())).toBe(false);
});

test("a build waits for one that another process is at, and finds it done; one that was killed does not hold it up", async () => {
  const started = at("started");
  const slowly = `const { appendFileSync } = require("node:fs"); appendFileSync(${JSON.stringify(started)}, "x");
    setTimeout(() => { ${succeeding()} }, 1000);`;
  writeFileSync(at("node-gyp.cjs"), slowly);
  const env = { ...process.env, PATH: at("tools"), npm_config_node_gyp: at("node-gyp.cjs") };
  const begin = () => {
    const child = spawn(process.execPath, [at("scripts/build-native.mjs")], { env });
    let said = "";
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString();
    });
    return { child, done: once(child, "close").then(() => said) };
  };
  mkdirSync(at(".stemma/native-claim"), { recursive: true });
  writeFileSync(at(".stemma/native-claim/gone"), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }));
  const [one, other] = [begin(), begin()];
  const said = await Promise.all([one.done, other.done]);
  expect(said.sort()).toEqual([
    expect.stringMatching(/building the native backend … done in/),
    expect.stringMatching(
      /^stemma: waiting for another process that is building \(delete .*native-claim if there is none\)\n$/,
    ),
  ]);
  expect(readFileSync(started, "utf8")).toBe("x");
  expect([one.child.exitCode, other.child.exitCode]).toEqual([0, 0]);
  expect(existsSync(addon())).toBe(true);
});

/**
 * Builds the native addon into build/Release when it is missing or older than its sources. Uses nothing but Node, npm's
 * own node-gyp and a C++17 compiler, and never fails: without a compiler the slower reference backend is used, which
 * says so and why.
 *
 *     node scripts/build-native.mjs             when needed
 *     node scripts/build-native.mjs --force     from nothing
 *     node scripts/build-native.mjs --verbose   with all that the compiler said, if it failed
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { lock } from "./lock.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const addon = join(root, "build/Release/stemma.node");
/** How the last build ended: of which sources, with which tools, why it failed if it did, and how large the addon is. */
const outcomeFile = join(root, "build/stemma.json");

/** Whether a build now would end as the last one did: it succeeded, or it failed and nothing changed since. */
export function addonIsSettled() {
  const last = lastOutcome();
  if (last?.sources !== sourceHash()) return false;
  return last.failure === null ? last.bytes === addonBytes() : last.tools === tools();
}

/** Size of the addon, null where there is none: loading one that was cut short would end the process. */
function addonBytes() {
  return statSync(addon, { throwIfNoEntry: false })?.size ?? null;
}

function lastOutcome() {
  try {
    return JSON.parse(readFileSync(outcomeFile, "utf8"));
  } catch {
    return null;
  }
}

/** Where the programs are that a build needs, or would need if they were there. */
function tools() {
  const names = [process.env.CXX, "c++", "g++", "clang++", "make", "python3", "xcrun"].filter(Boolean);
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? [])
    .concat(findNodeGyp() ?? [])
    .join(delimiter);
}

/** Names the sources and what they were compiled for: any change of either means building again. */
function sourceHash() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${process.versions.modules}\n`);
  const files = readdirSync(join(root, "native"), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(cpp|h)$/.test(file) && !file.startsWith("lab"))
    .map((file) => join("native", file).replaceAll("\\", "/"))
    .sort();
  for (const file of ["binding.gyp", ...files]) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

/** Path of the node-gyp that came with npm, or null. */
function findNodeGyp() {
  const beside = dirname(process.execPath);
  const candidates = [
    process.env.npm_config_node_gyp,
    process.env.npm_execpath && join(dirname(process.env.npm_execpath), "../node_modules/node-gyp/bin/node-gyp.js"),
    join(beside, "../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js"),
    join(beside, "node_modules/npm/node_modules/node-gyp/bin/node-gyp.js"),
    join(beside, "../share/nodejs/npm/node_modules/node-gyp/bin/node-gyp.js"),
    ...(process.env.PATH ?? "")
      .split(delimiter)
      .map((folder) => join(folder, "../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js")),
  ];
  return candidates.find((path) => path && existsSync(path)) ?? null;
}

/** Folder of Node's own headers where they were installed with it, so that node-gyp has nothing to download. */
function findHeaders() {
  if (process.env.npm_config_nodedir) return null;
  const prefix = join(dirname(process.execPath), "..");
  return existsSync(join(prefix, "include/node/node_api.h")) ? prefix : null;
}

/** Runs node-gyp and returns null, or the end of what it printed when it failed. */
function build(nodeGyp) {
  const headers = findHeaders();
  const steps = process.argv.includes("--force") ? ["rebuild"] : ["configure", "build"];
  const args = [nodeGyp, ...steps, "--jobs", "max", ...(headers ? [`--nodedir=${headers}`] : [])];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status === 0 && existsSync(addon)) return loadFailure();
  return `${result.stdout ?? ""}${result.stderr ?? ""}`.trim() || String(result.error ?? "node-gyp failed");
}

/** A library that only this machine lacks shows when the addon is loaded. */
function loadFailure() {
  try {
    createRequire(import.meta.url)(addon);
    return null;
  } catch (error) {
    return `error: the addon was built and does not load: ${error.message}`;
  }
}

/** The line of a compiler's or node-gyp's output that says what went wrong. */
function cause(output) {
  const lines = output.split("\n").map((line) => line.trim());
  const telling = lines.find((line) => /error[: ]|not found|ERR! stack/i.test(line));
  return (telling ?? lines.at(-1) ?? "").replace(/^gyp ERR! (stack )?/, "").slice(0, 200);
}

const remedy = {
  linux:
    "install a C++ compiler, make and Python 3 (Debian, Ubuntu: `apt install g++ make python3`; Fedora: `dnf install gcc-c++ make python3`)",
  darwin: "install the compiler with `xcode-select --install`",
  win32: 'install Visual Studio Build Tools with "C++ Clang tools for Windows", and Python 3',
};

/** A failed build leaves no addon of older sources behind, which would compute something else than they say. */
function remember(failure) {
  if (failure !== null) rmSync(addon, { force: true });
  mkdirSync(dirname(outcomeFile), { recursive: true });
  const outcome = { sources: sourceHash(), tools: tools(), failure, bytes: addonBytes() };
  writeFileSync(outcomeFile, `${JSON.stringify(outcome, null, 2)}\n`);
}

/** A build that another process is at is waited for: both would write into build/, and each undo the other's work. */
async function main() {
  const isForced = process.argv.includes("--force");
  const isDone = () => !isForced && addonIsSettled() && existsSync(addon);
  if (isDone()) return;
  const unlock = await lock(join(root, ".stemma", "native-claim"), (line) => process.stdout.write(`stemma: ${line}\n`));
  try {
    if (!isDone()) buildAndRemember();
  } finally {
    unlock();
  }
}

function buildAndRemember() {
  const started = Date.now();
  process.stdout.write("stemma: building the native backend …");
  const nodeGyp = findNodeGyp();
  const output = nodeGyp ? build(nodeGyp) : "npm's node-gyp was not found";
  const failure = output === null ? null : cause(output);
  remember(failure);
  if (failure === null) {
    process.stdout.write(` done in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    return;
  }
  if (process.argv.includes("--verbose")) process.stderr.write(`\n${output}\n`);
  process.stdout.write(
    ` not possible (${failure}): the slower reference backend will be used; to change that, ` +
      `${remedy[process.platform] ?? remedy.linux} and run \`node ${fileURLToPath(import.meta.url)} --verbose\`\n`,
  );
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href)
  await main();

// Builds the native addon into build/Release when it is missing or older than its sources. Uses nothing but Node, npm's
// own node-gyp and a C++17 compiler, and never fails: without a compiler the slower reference backend is used.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const addon = join(root, "build/Release/stemma.node");
const stamp = join(root, "build/Release/stemma.hash");

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
      .split(process.platform === "win32" ? ";" : ":")
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
  if (result.status === 0 && existsSync(addon)) return null;
  return `${result.stdout ?? ""}${result.stderr ?? ""}`.trim() || String(result.error ?? "node-gyp failed");
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

function main() {
  const hash = sourceHash();
  const isCurrent = existsSync(addon) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash;
  if (isCurrent && !process.argv.includes("--force")) return;
  const started = Date.now();
  process.stdout.write("stemma: building the native backend …");
  const nodeGyp = findNodeGyp();
  const failure = nodeGyp ? build(nodeGyp) : "npm's node-gyp was not found";
  if (failure === null) {
    writeFileSync(stamp, hash);
    createRequire(import.meta.url)(addon);
    process.stdout.write(` done in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    return;
  }
  if (process.argv.includes("--verbose")) process.stderr.write(`\n${failure}\n`);
  process.stdout.write(
    ` not possible (${cause(failure)}): the slower reference backend will be used; to change that, ` +
      `${remedy[process.platform] ?? remedy.linux} and run \`node scripts/build-native.mjs --verbose\`\n`,
  );
}

main();

/**
 * Makes a checkout ready to run with nothing but Node: installs the packages of package-lock.json, builds the native
 * addon, compiles the sources and builds the browser app, each only when missing or out of date. Says one line for each
 * thing it does, on standard error, and is silent when there is nothing to do.
 *
 *     node scripts/bootstrap.mjs            what is needed
 *     node scripts/bootstrap.mjs --force    build the addon, the sources and the browser app again
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { addonIsSettled } from "./build-native.mjs";
import { lock } from "./lock.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = [20, 19];

/**
 * Brings the checkout up to date.
 *
 * Two processes that start together do not disturb each other: one works, the other waits for it and then finds
 * nothing left to do.
 *
 * @throws {Error} with a message for the user when a step failed; what was there before stays as it was.
 */
export async function bootstrap({ force = false } = {}) {
  checkNode();
  if (!force && isCurrent()) return;
  const unlock = await lock(join(root, ".stemma", "bootstrap-claim"), say);
  try {
    if (!packagesAreCurrent()) installPackages();
    if (force || !addonIsSettled()) buildAddon(force);
    if (force || !sourcesAreCurrent()) compileSources();
    if (force || !webIsCurrent()) buildWeb();
  } finally {
    unlock();
  }
}

function isCurrent() {
  return packagesAreCurrent() && addonIsSettled() && sourcesAreCurrent() && webIsCurrent();
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new Error(`Node ${process.versions.node} is too old; install Node ${oldestNode.join(".")} or newer`);
}

// Packages

/**
 * Whether node_modules holds what the lock file asks for, by version and content hash; optional ones may be absent. What
 * npm wrote down of it is believed only where the packages' folders are still there.
 */
export function packagesAreCurrent(folder = root) {
  const installed = readJson(join(folder, "node_modules", ".package-lock.json"))?.packages;
  const wanted = readJson(join(folder, "package-lock.json"))?.packages;
  if (installed === undefined || wanted === undefined) return false;
  return Object.entries(wanted).every(([path, { version, integrity, optional, devOptional, link }]) => {
    if (path === "" || link) return true;
    const found = installed[path];
    if (found === undefined) return Boolean(optional || devOptional) || !path.includes("node_modules/");
    const isThere = existsSync(join(folder, path, "package.json"));
    return isThere && found.version === version && found.integrity === integrity;
  });
}

/**
 * A first install is exactly the lock file's. An outdated one is changed in place, because `npm ci` starts by deleting
 * node_modules and would leave nothing on a machine that is offline.
 */
function installPackages() {
  const first = !existsSync(join(root, "node_modules", ".package-lock.json"));
  const how = first ? ["ci"] : ["install", "--no-save"];
  const quiet = ["--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const what = first ? "installing packages (npm ci)" : "updating packages (npm install)";
  const done = step(what, () => npm([...how, ...quiet]));
  if (done) return;
  if (first) throw new Error("npm could not install the packages (see above); check the network and run it again");
  say("going on with the packages that are installed; run `npm ci` when the network is back");
}

/** Runs npm in the checkout, through the shell on Windows, where npm is a batch file. */
function npm(args) {
  return spawnSync("npm", args, { cwd: root, encoding: "utf8", shell: process.platform === "win32" });
}

// Native addon

/** The builder says itself in one line what it did, or why this machine has to use the slower reference backend. */
function buildAddon(force) {
  const builder = join(root, "scripts", "build-native.mjs");
  spawnSync(process.execPath, [builder, ...(force ? ["--force"] : [])], { cwd: root, stdio: ["ignore", 2, 2] });
}

// Sources

const dist = join(root, "dist");
const web = join(dist, "web");
const sourcesStamp = ".stemma-sources";

function sourcesAreCurrent() {
  return readText(join(dist, sourcesStamp)) === stampOf(dist, sourcesFingerprint());
}

/**
 * What a folder of compiled sources was made from, and how many files that made: one that lost some is made again. The
 * browser app inside it has a stamp of its own.
 */
export function stampOf(folder, print) {
  const others = join(folder, "web") + sep;
  const files = filesUnder(folder).filter((file) => !file.endsWith(sourcesStamp) && !file.startsWith(others));
  return `${print} ${files.length}`;
}

function sourcesFingerprint() {
  const compiler = readJson(join(root, "node_modules", "typescript", "package.json"))?.version;
  return fingerprint(["src", "tsconfig.json", "tsconfig.build.json"], `typescript ${compiler}`);
}

/** Compiles beside dist/ and swaps, so that dist/ is always whole; the browser app in it moves along. */
function compileSources() {
  const print = sourcesFingerprint();
  const [fresh, old] = [`${dist}.${process.pid}.new`, `${dist}.${process.pid}.old`];
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const args = [compiler, "-p", "tsconfig.build.json", "--outDir", fresh];
  const compiled = step("compiling the sources", () =>
    spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" }),
  );
  try {
    if (!compiled) throw new Error("the sources do not compile (see above); `npx tsc` shows the errors again");
    writeFileSync(join(fresh, sourcesStamp), stampOf(fresh, print));
    if (existsSync(web)) renameSync(web, join(fresh, "web"));
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

// Browser app

function webIsCurrent() {
  return readText(join(web, sourcesStamp)) === stampOf(web, webFingerprint());
}

function webFingerprint() {
  const names = readdirSync(join(root, "web")).filter((name) => name !== "node_modules");
  const own = names.map((name) => join("web", name));
  const builder = readJson(join(root, "node_modules", "vite", "package.json"))?.version;
  return fingerprint([...own, ...importedBy(own)], `vite ${builder}`);
}

/** Sources outside of web/ that it imports, and what those import: paths from the root, in order. */
function importedBy(own) {
  const found = new Set();
  const follow = (file) => {
    for (const [, to] of readFileSync(file, "utf8").matchAll(/\bfrom "(\.[^"]+\.ts)"/g)) {
      const path = relative(root, join(dirname(file), to));
      if (found.has(path) || path.startsWith(`web${sep}`) || !existsSync(join(root, path))) continue;
      found.add(path);
      follow(join(root, path));
    }
  };
  for (const path of own) filesUnder(join(root, path)).forEach(follow);
  return [...found].sort();
}

/** Builds beside the app and swaps, so that a server that starts meanwhile finds a whole one. */
function buildWeb() {
  const print = webFingerprint();
  const [fresh, old] = [`${web}.${process.pid}.new`, `${web}.${process.pid}.old`];
  const builder = join(root, "node_modules", "vite", "bin", "vite.js");
  const args = [builder, "build", join(root, "web"), "--outDir", fresh, "--emptyOutDir", "--logLevel", "warn"];
  const env = { ...process.env, NODE_ENV: "production" }; // whoever calls: a test runner has another one
  const isBuilt = step("building the browser app", () =>
    spawnSync(process.execPath, args, { cwd: join(root, "web"), encoding: "utf8", env }),
  );
  try {
    if (!isBuilt) throw new Error("the browser app does not build (see above); `npm run build -w web` shows it again");
    writeFileSync(join(fresh, sourcesStamp), stampOf(fresh, print));
    if (existsSync(web)) renameSync(web, old);
    renameSync(fresh, web);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

// Shared by the steps

/** One hash of the names and contents of files and of whole folders, tests left out, and of `extra`. */
function fingerprint(paths, extra) {
  const hash = createHash("sha256").update(extra);
  for (const path of paths) {
    for (const file of filesUnder(join(root, path))) {
      hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest("hex");
}

function filesUnder(path) {
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOTDIR") return [path];
    if (error.code === "ENOENT") return [];
    throw error;
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .filter((entry) => !entry.name.endsWith(".test.ts"))
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(join(path, entry.name)) : [join(path, entry.name)]));
}

/** Says what runs and how long it took, in one line; what the process printed is shown when it failed. */
function step(what, run) {
  const start = performance.now();
  process.stderr.write(`stemma: ${what} …`);
  const { status, stdout, stderr, error } = run();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (status === 0) process.stderr.write(` done in ${seconds} s\n`);
  else process.stderr.write(` failed after ${seconds} s\n${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}\n`);
  return status === 0;
}

function say(line) {
  process.stderr.write(`stemma: ${line}\n`);
}

function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readJson(path) {
  try {
    return JSON.parse(readText(path));
  } catch {
    return undefined;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  try {
    await bootstrap({ force: process.argv.includes("--force") });
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}

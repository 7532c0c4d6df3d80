import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** How to get PyTorch, for whoever has none. */
export const pythonRemedy =
  "PyTorch: no python3 in PATH has torch; `apt-get install python3-torch libopenblas0-openmp` (Debian) or " +
  "`pip install torch`, or name one that has it with --python";

/** The first `python3` of PATH that can import torch, or null. */
export function findPythonWithTorch(): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = folders.flatMap((folder) => ["python3", "python"].map((name) => join(folder, name)));
  return candidates.find((path) => existsSync(path) && hasTorch(path)) ?? null;
}

function hasTorch(python: string): boolean {
  const probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
  return spawnSync(python, ["-c", probe], { stdio: "ignore", timeout: 20_000 }).status === 0;
}

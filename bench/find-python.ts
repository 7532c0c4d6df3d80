import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** How to get PyTorch, for whoever has none. */
export const pythonRemedy =
  "PyTorch: no python3 in PATH has torch; `apt-get install python3-torch libopenblas0-openmp` (Debian) or " +
  "`pip install torch`, or name one that has it with --python";

/** The same for PEFT. */
export const peftRemedy =
  "PEFT: no python3 in PATH has torch, transformers and peft; `pip install torch transformers peft`, or name one that has " +
  "them with --python";

/** The first `python3` of PATH that can import some modules, or null. */
export function findPython(modules: readonly string[]): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = folders.flatMap((folder) => ["python3", "python"].map((name) => join(folder, name)));
  return candidates.find((path) => existsSync(path) && hasModules(path, modules)) ?? null;
}

function hasModules(python: string, modules: readonly string[]): boolean {
  const probe = "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(m) is None for m in sys.argv[1:]))";
  return spawnSync(python, ["-c", probe, ...modules], { stdio: "ignore", timeout: 20_000 }).status === 0;
}

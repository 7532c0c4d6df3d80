import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Brings the addon and `dist/` up to date before the first test starts a command. */
export function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, "../../scripts/bootstrap.mjs")], { stdio: "inherit" });
}

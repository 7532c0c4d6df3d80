import { spawn } from "node:child_process";
import { join } from "node:path";

/** How a command ended and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** Without {@link Ended.standIn}. */
  readonly stderr: string;
  /** What the command said of the reference backend where it stood in for the native one. */
  readonly standIn?: string;
}

const standInLine = /^computing with the reference backend[^\n]*\n/;

/** Runs the built command as a process of its own, as a user does, and waits for its end. */
export async function stemma(
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string; readonly environment?: Record<string, string> } = {},
): Promise<Ended> {
  const bin = join(import.meta.dirname, "../../bin/stemma.js");
  const environment = { ...process.env, NO_COLOR: "1", ...options.environment };
  const child = spawn(process.execPath, [bin, ...args], { cwd: options.cwd, env: environment });
  child.stdin.end(options.input ?? "");
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const [standIn] = standInLine.exec(output.stderr) ?? [];
  if (standIn === undefined) return { code, ...output };
  return { code, ...output, stderr: output.stderr.slice(standIn.length), standIn };
}

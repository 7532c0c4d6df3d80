import process from "node:process";
import { InterruptedError, SettingsError, StemmaError } from "../core/errors.ts";
import { turnEventLoop } from "../core/event-loop.ts";
import { kebabCase } from "../core/flags.ts";
import { packageVersion } from "../train/machine.ts";
import type { Command } from "./command.ts";
import { releaseSignals } from "./early-stop.ts";
import { loadCommands } from "./load-commands.ts";
import type { HelpOutput, Request } from "./program.ts";
import { readCommandLine } from "./program.ts";
import { resolveSettings } from "./settings.ts";
import type { Surroundings } from "./terminal.ts";
import { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

const summary = "Train, align and evaluate language models of the GPT family on the machine you have.";

/**
 * Runs one command line.
 *
 * @param table the commands there are, null for those of this package; only tests pass their own.
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage (a flag, a setting or a combination of them), 130 or 143 stopped by a signal after saving.
 */
export async function main(
  argv: readonly string[],
  around: Surroundings = ofProcess,
  table: readonly Command[] | null = null,
): Promise<number> {
  let command: Command | null = null;
  const isDebugging = argv.includes("--debug");
  const terminal = new Terminal(around);
  try {
    const known = table ?? (await loadCommands(argv));
    const request = readCommandLine(argv, known, { summary, version: packageVersion() }, helpOutput(terminal, around));
    if (request === null) return 0;
    command = request.command;
    return await run(request, terminal);
  } catch (error) {
    terminal.note(formatError(error, command, isDebugging));
    return error instanceof UsageError || error instanceof SettingsError ? 2 : 1;
  }
}

async function run(request: Request, terminal: Terminal): Promise<number> {
  if (request.json) terminal.silence();
  try {
    const settings = await resolveSettings(request, terminal);
    await turnEventLoop(); // a signal that came while the program was loaded is heard now, or never
    terminal.release(); // whether signals mean more than to end at once is for the command to say
    releaseSignals();
    const result = await request.command.run(settings, terminal);
    if (request.json) terminal.writeJson(result ?? {});
    return terminal.exitCode;
  } catch (error) {
    const isStopped = error instanceof InterruptedError || (error instanceof Error && error.name === "AbortError");
    if (terminal.stopCode === null || !isStopped) throw error;
    if (error instanceof InterruptedError) terminal.note(error.message);
    return terminal.stopCode;
  } finally {
    terminal.release();
  }
}

/** `command: what is wrong; what to do`. An error that was not foreseen is called a defect. */
function formatError(error: unknown, command: Command | null, isDebugging: boolean): string {
  if (isDebugging && error instanceof Error) return error.stack ?? String(error);
  const message = error instanceof Error ? error.message : String(error);
  const line = message.split("\n").join(" ");
  const name = command?.name ?? "stemma";
  if (error instanceof UsageError || line.startsWith(`${name}: `)) return line;
  if (error instanceof SettingsError) return `${name}: ${withFlagName(line, command)}`;
  if (error instanceof StemmaError) return `${name}: ${line}`;
  return `${name}: ${systemFailure(error) ?? `unexpected failure: ${line}; run it again with --debug to see where`}`;
}

/** A message about a setting begins with its key, as a program writes it; here it is typed as a flag. */
function withFlagName(line: string, command: Command | null): string {
  const key = /^\w+(?=: )/.exec(line)?.[0] ?? "";
  return command && Object.hasOwn(command.settings.shape, key) ? `${kebabCase(key)}${line.slice(key.length)}` : line;
}

/** The operating system's refusals that a user can do something about. */
function systemFailure(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const path = "path" in error ? String(error.path) : "";
  switch (error.code) {
    case "ENOENT":
      return `${path} does not exist; check the path`;
    case "EACCES":
    case "EPERM":
      return `no permission for ${path}; check its owner and mode`;
    case "ENOSPC":
      return `the disk is full${path && ` (writing ${path})`}; free some space and run it again`;
    case "EISDIR":
      return `${path || "the path"} is a folder; give a file`;
    case "ENOTDIR":
      return `${path || "the path"} is no folder; give a folder`;
    case "EADDRINUSE":
      return `${error.message}; choose another --port`;
    default:
      return null;
  }
}

function helpOutput(terminal: Terminal, { stdout, environment }: Surroundings): HelpOutput {
  return {
    write: (text) => terminal.writeStyled(text),
    hasColors: stdout.isTTY === true && !environment.NO_COLOR,
    columns: Math.min(stdout.columns ?? 100, 120),
  };
}

const ofProcess: Surroundings = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  onSignal(signal, handle) {
    process.on(signal, handle);
    releaseSignals(); // not before: a signal that waits to be delivered is the new one's
  },
  offSignal: (signal, handle) => process.off(signal, handle),
  exit: (code) => process.exit(code),
};

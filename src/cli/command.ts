import type { Readable } from "node:stream";
import type { z } from "zod";
import type { Progress, ProgressPlan } from "./progress.ts";

/** What a command may do to the outside world besides files. Only this prints. Functions work when taken off it, too. */
export interface Io {
  /** One line of the command's result, on standard output. Silent under `--json`. */
  readonly print: (line: string) => void;
  /** A piece of the result as it comes, without a line break. Silent under `--json`. */
  readonly write: (text: string) => void;
  /** A remark for whoever watches, on standard error. */
  readonly note: (line: string) => void;
  /** Standard input. */
  readonly input: Readable & { readonly isTTY?: boolean };
  /** Whether a person sees the result as it is written. */
  readonly isTerminal: boolean;
  /** Characters in a line of the terminal that shows the result; null where there is none, or nobody knows. */
  readonly columns: number | null;
  /** A bar on a terminal, lines from time to time elsewhere, on standard error. */
  readonly progress: (plan: ProgressPlan) => Progress;
  /**
   * From the first call on, Ctrl-C (SIGINT) and SIGTERM abort this signal instead of ending the process, so that the
   * command can save first; a second one ends it at once. The command has to let the event loop turn to notice.
   */
  readonly stopSignal: () => AbortSignal;
  /**
   * Until what it gives is called, Ctrl-C calls `interrupt` instead of ending the process; it ends it, too, where that
   * says by false that nothing was going on.
   */
  readonly onInterrupt: (interrupt: () => boolean) => () => void;
  /** The command did its work and found something wrong: its result is shown, and the exit code is 1. */
  readonly fail: () => void;
}

/** Headings under which `stemma --help` lists commands. */
export type CommandGroup = "Start" | "Train" | "Use a model" | "Data and files" | "This machine";

/** One word, or two, after `stemma`. */
export interface Command<Settings extends z.ZodObject = z.ZodObject> {
  /** As typed: `generate`, `tokenizer train`. */
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  readonly group: CommandGroup;
  /**
   * Flags, help, defaults and checks all come from this schema; see `flags.ts` for what a key's description and
   * meta say.
   */
  readonly settings: Settings;
  /** Whole command lines to copy. */
  readonly examples?: readonly string[];
  /**
   * Settings that an earlier run left on disk. They count less than the command line and `--config`, and more than the
   * defaults.
   */
  remembered?(given: Readonly<Record<string, unknown>>): Promise<Remembered | null>;
  /** Does the work. What it returns is the object that `--json` prints. */
  run(settings: z.output<Settings>, io: Io): Promise<object | undefined>;
}

/** Settings and the file they come from. */
export interface Remembered {
  readonly path: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Gives a command literal its types, and nothing else. */
export function defineCommand<Settings extends z.ZodObject>(command: Command<Settings>): Command<Settings> {
  return command;
}

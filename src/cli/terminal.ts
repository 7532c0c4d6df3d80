import type { Readable, Writable } from "node:stream";
import type { Io } from "./command.ts";
import type { StopSignal } from "./early-stop.ts";
import { signalCodes, stopSignals } from "./early-stop.ts";
import { printable, printableJson } from "./printable.ts";
import type { Progress, ProgressPlan, ShownProgress } from "./progress.ts";
import { barProgress, lineProgress } from "./progress.ts";

/** The outside of a process, so that tests can stand in for it. */
export interface Surroundings {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly environment: Readonly<Record<string, string | undefined>>;
  onSignal(signal: NodeJS.Signals, handle: () => void): void;
  offSignal(signal: NodeJS.Signals, handle: () => void): void;
  exit(code: number): void;
}

/**
 * Signals this close to the first, in milliseconds, are the same wish: `npm` and `npx` pass on what the terminal has sent
 * to everyone already, and what arrives while something computes is delivered together afterwards.
 */
const sameWishMs = 500;

/**
 * What the running command sees of the {@link Surroundings}, and what `main` asks of it afterwards. Whatever a person
 * gets to see is made printable here: all of standard error, and standard output when it is a terminal. Its functions
 * are fields rather than methods: commands take them off it and hand them on.
 */
export class Terminal implements Io {
  readonly #around: Surroundings;
  readonly #stop = new AbortController();
  readonly #handlers: [StopSignal, () => void][] = [];
  #stoppedBy: StopSignal | null = null;
  #stoppedAt = 0;
  #progress: ShownProgress | null = null;
  #isSilent = false;
  #isClosed = false;
  #hasFailed = false;

  constructor(around: Surroundings) {
    this.#around = around;
    around.stdout.on("error", this.#onOutputError);
    around.stderr.on("error", throwUnlessClosed);
  }

  /** Keeps what the command prints off standard output, for `--json`. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Writes the object that ends standard output under `--json`. */
  writeJson(result: object): void {
    if (!this.#isClosed) this.#around.stdout.write(`${printableJson(JSON.stringify(result))}\n`);
  }

  get input(): Surroundings["stdin"] {
    return this.#around.stdin;
  }

  get columns(): number | null {
    return this.isTerminal ? this.#around.stdout.columns || null : null;
  }

  get isTerminal(): boolean {
    return this.#around.stdout.isTTY === true && !this.#isSilent;
  }

  /** Exit code of a command that has come to its end: 0 done, 1 failed, or that of the signal that stopped it. */
  get exitCode(): number {
    return this.stopCode ?? (this.#hasFailed ? 1 : 0);
  }

  /** Exit code of a process that a signal stopped, or null. */
  get stopCode(): number | null {
    return this.#stoppedBy === null ? null : signalCodes[this.#stoppedBy];
  }

  readonly fail = (): void => {
    this.#hasFailed = true;
  };

  readonly print = (line: string): void => {
    this.write(`${line}\n`);
  };

  readonly write = (text: string): void => {
    if (this.#isSilent) return;
    if (this.isTerminal) this.writeStyled(printable(text));
    else if (!this.#isClosed) this.#around.stdout.write(text);
  };

  /** Writes text of our own that has colours in it. */
  writeStyled(text: string): void {
    const write = (): void => void this.#around.stdout.write(text);
    if (this.#isClosed) return;
    if (this.#progress === null) write();
    else this.#progress.makeWay(write);
  }

  readonly note = (line: string): void => {
    const shown = printable(line);
    if (this.#progress === null) this.#around.stderr.write(`${shown}\n`);
    else this.#progress.note(shown);
  };

  readonly progress = (plan: ProgressPlan): Progress => {
    const { stderr, environment } = this.#around;
    const isBar = stderr.isTTY === true && environment.TERM !== "dumb";
    const progress = isBar
      ? barProgress(plan, stderr)
      : lineProgress(plan, (line) => stderr.write(`${printable(line)}\n`));
    const stop = (): void => {
      progress.stop();
      this.#progress = null;
    };
    this.#progress = { ...progress, stop };
    return this.#progress;
  };

  readonly stopSignal = (): AbortSignal => {
    if (this.#handlers.length === 0) {
      for (const signal of stopSignals) {
        const handle = (): void => this.#onSignal(signal);
        this.#around.onSignal(signal, handle);
        this.#handlers.push([signal, handle]);
      }
    }
    return this.#stop.signal;
  };

  readonly onInterrupt = (interrupt: () => boolean): (() => void) => {
    let heardAt = Number.NEGATIVE_INFINITY;
    const handle = (): void => {
      if (performance.now() - heardAt < sameWishMs) return;
      heardAt = performance.now();
      if (!interrupt()) this.#around.exit(signalCodes.SIGINT);
    };
    this.#around.onSignal("SIGINT", handle);
    return () => this.#around.offSignal("SIGINT", handle);
  };

  /** Gives the signals back. Streams stay watched: they may fail after the last write. */
  release(): void {
    for (const [signal, handle] of this.#handlers.splice(0)) this.#around.offSignal(signal, handle);
  }

  #onSignal(signal: StopSignal): void {
    if (this.#stoppedBy !== null) {
      if (performance.now() - this.#stoppedAt < sameWishMs) return;
      this.#progress?.stop(); // what the shell writes next begins in a line of its own
      this.#around.exit(signalCodes[signal]);
      return;
    }
    this.#stoppedBy = signal;
    this.#stoppedAt = performance.now();
    this.note("stopping as soon as the work so far is safe; press Ctrl-C again to end at once");
    this.#stop.abort();
  }

  /** Nobody reads the result any more (`| head`): work that saves itself goes on, anything else has no purpose left. */
  readonly #onOutputError = (error: NodeJS.ErrnoException): void => {
    throwUnlessClosed(error);
    this.#isClosed = true;
    if (this.#handlers.length === 0) this.#around.exit(0);
  };
}

function throwUnlessClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

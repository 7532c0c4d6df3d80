import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A peer could not be started, ended, or answered with an error; the message is what a person should read. */
export class PeerError extends Error {
  override readonly name = "PeerError";
}

/**
 * A program beside us that reads JSON commands from its standard input, one a line, and answers each with a line.
 * It waits, idle, between commands, so that a benchmark can time a few steps of it, a few of its own, and so on.
 */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #complaints = "";
  #failure: Error | null = null;

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", () => resolve());
      this.#child.on("error", (error) => {
        this.#failure = error;
        resolve();
      });
    });
    this.#child.stdin?.on("error", () => {}); // a peer that has ended is reported by `ask`
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString()).slice(-2000);
    });
    if (this.#child.stdout === null) throw new Error("internal: the peer has no standard output");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** A peer written in TypeScript, run by this Node through tsx. */
  static script(path: string): PeerProcess {
    return new PeerProcess(process.execPath, ["--import", "tsx", path]);
  }

  /**
   * Sends a command and waits for its answer, which a peer that is given `limitSeconds` must have by then: it is ended
   * otherwise.
   *
   * @throws {PeerError} when the peer answers with an error, or ends without answering.
   */
  async ask<Answer>(command: object, limitSeconds?: number): Promise<Answer> {
    if (limitSeconds === undefined) return this.#answer(command);
    const limit = setTimeout(() => {
      this.#failure = new Error(`no answer within ${limitSeconds} s`);
      this.#child.kill("SIGKILL");
    }, limitSeconds * 1000);
    return await this.#answer<Answer>(command).finally(() => clearTimeout(limit));
  }

  async #answer<Answer>(command: object): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    let line = await this.#lines.next();
    // Libraries write empty lines where a terminal would see a progress bar.
    while (line.done !== true && line.value.trim() === "") line = await this.#lines.next();
    if (line.done === true) {
      await this.#ended; // its last words may still be on the way
      const reason = this.#failure?.message ?? this.#complaints.trim().split("\n").at(-1);
      throw new PeerError(reason === undefined || reason === "" ? "the peer ended without an answer" : reason);
    }
    const answer = JSON.parse(line.value) as Answer & { error?: string };
    if (answer.error !== undefined) throw new PeerError(answer.error);
    return answer;
  }

  /** Ends the peer. */
  close(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}

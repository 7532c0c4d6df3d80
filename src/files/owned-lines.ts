import { open, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { writeFileAtomic } from "./atomic-write.ts";
import { claim } from "./claim.ts";
import { fileError, systemCode } from "./file-error.ts";
import { flushFolder } from "./flush.ts";
import { makeFolder } from "./make-folder.ts";

/** How a file of lines is opened. */
export interface LineRules {
  /** Whether the file may hold such a line. */
  readonly isLine: (line: string) => boolean;
  /** What its lines are, in the message about another one: `ranking`. */
  readonly what: string;
  /** What else can be done than wait while another process writes it. */
  readonly remedy: string;
}

/**
 * A file of lines that only this process writes, from opening to closing: a claim lies beside it under its name with
 * `.lock`. A line that was added is on disk; one that was cut short, as the process or the machine died while it was
 * added, is taken away when the file is opened next.
 */
export class OwnedLines {
  readonly path: string;
  /** Whether a line that was cut short was taken away when the file was opened. */
  readonly wasMended: boolean;
  #lines: readonly string[];
  readonly #release: () => void;
  readonly #changes = new Mutex();

  private constructor(path: string, found: { lines: readonly string[]; wasMended: boolean; release: () => void }) {
    this.path = path;
    this.#lines = found.lines;
    this.wasMended = found.wasMended;
    this.#release = found.release;
  }

  /**
   * @throws {FileError} when another process has claimed it, naming that process, or it cannot be read or mended.
   * @throws {DataError} when a line is none that it may hold: somebody else's file is not added to.
   */
  static async open(path: string, { isLine, what, remedy }: LineRules): Promise<OwnedLines> {
    await makeFolder(dirname(path));
    const release = claim(`${path}.lock`, { what: path, remedy });
    try {
      const text = await readFile(path, "utf8").catch((error: unknown) => {
        if (systemCode(error) === "ENOENT") return "";
        throw fileError(path, "read", error);
      });
      const lines = text.split("\n");
      const rest = lines.pop() ?? "";
      const other = lines.findIndex((line) => !isLine(line));
      if (other >= 0) throw new DataError(`${path}, line ${other + 1}: is no ${what}; choose another file to add to`);
      if (rest === "") return new OwnedLines(path, { lines, wasMended: false, release });
      const isWhole = isLine(rest);
      if (isWhole) await append(path, "\n");
      else if (rest.startsWith("{")) await cut(path, Buffer.byteLength(text) - Buffer.byteLength(rest));
      else throw new DataError(`${path}, line ${lines.length + 1}: is no ${what}; choose another file to add to`);
      return new OwnedLines(path, { lines: isWhole ? [...lines, rest] : lines, wasMended: !isWhole, release });
    } catch (error) {
      release();
      throw error;
    }
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /**
   * Adds a line, which is on disk when this is over.
   *
   * @throws {FileError} when the disk is full; what was written of the line is taken away again.
   */
  async append(line: string): Promise<void> {
    await this.#changes.run(async () => {
      await append(this.path, `${line}\n`).catch(async (error: unknown) => {
        const size = this.#lines.reduce((sum, one) => sum + Buffer.byteLength(one) + 1, 0);
        await cut(this.path, size).catch(() => {}); // the first error is the one to be told
        throw error;
      });
      this.#lines = [...this.#lines, line];
    });
  }

  /**
   * Takes a line away, all at once: whatever happens, the file holds the lines with or without it.
   *
   * @throws {FileError} when the disk is full; nothing is lost then.
   */
  async remove(line: string): Promise<void> {
    await this.#changes.run(async () => {
      const place = this.#lines.lastIndexOf(line);
      const lines = this.#lines.filter((_, i) => i !== place);
      await writeFileAtomic(this.path, lines.map((one) => `${one}\n`).join(""));
      this.#lines = lines;
    });
  }

  /** Waits for what is being written, and lets others write the file. */
  async close(): Promise<void> {
    await this.#changes.settled();
    this.#release();
  }
}

async function append(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, "a");
    try {
      const isNew = (await file.stat()).size === 0;
      await file.appendFile(text);
      await file.sync();
      if (isNew) await flushFolder(dirname(path));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(path, "write", error);
  }
}

async function cut(path: string, size: number): Promise<void> {
  await truncate(path, size).catch((error: unknown) => {
    throw fileError(path, "write", error);
  });
}

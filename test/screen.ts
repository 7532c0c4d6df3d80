import { Writable } from "node:stream";
import xterm from "@xterm/headless";

/** A terminal without a window, to see what a person would. */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly #terminal: xterm.Terminal;

  constructor(columns: number, rows: number) {
    super();
    // As the terminal driver does, a line break begins a line.
    this.#terminal = new xterm.Terminal({ cols: columns, rows, convertEol: true, allowProposedApi: true });
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#terminal.write(chunk); // keeps what it has not drawn yet
    done();
  }

  /** Gives the window another size, as a person does with the mouse. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#drawn();
    this.#terminal.resize(columns, rows);
    this.emit("resize");
  }

  /** Lines as they stand there, those that were scrolled away included; without what is empty at the end. */
  async lines(): Promise<string[]> {
    await this.#drawn();
    const { active } = this.#terminal.buffer;
    const all = Array.from({ length: active.length }, (_, i) => active.getLine(i)?.translateToString(true) ?? "");
    return all.slice(0, all.findLastIndex((line) => line !== "") + 1);
  }

  /** Row and column at which the next text would appear, from 0, counted like {@link Screen.lines}. */
  async cursor(): Promise<{ row: number; column: number }> {
    await this.#drawn();
    const { active } = this.#terminal.buffer;
    return { row: active.baseY + active.cursorY, column: active.cursorX };
  }

  #drawn(): Promise<void> {
    return new Promise((resolve) => this.#terminal.write("", resolve));
  }
}

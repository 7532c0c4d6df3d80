import type { Writable } from "node:stream";

/** A terminal's output; `columns` is missing or 0 where its size is unknown. */
export type TerminalStream = Writable & { readonly columns?: number };

/** Clears from the cursor to the end of the screen. */
const clear = "\u001b[J";
/** A line that is too long ends at the edge of the screen instead of going on in the next line. */
const cutAtEdge = (text: string): string => `\u001b[?7l${text}\u001b[?7h`;

/**
 * A line below everything else on a terminal that is drawn again and again.
 *
 * The cursor waits at its beginning, to which every change returns, as a terminal echoes what is typed. So whatever comes next overwrites it, the terminal needs no memory of where it was,
 * and a window that is made narrower, where the line takes two, still has the cursor at the first. Every change is one
 * write, which terminals show at once.
 */
export class StatusLine {
  readonly #stream: TerminalStream;
  readonly #textFor: (columns: number) => string;
  readonly #redraw = (): void => this.draw();

  /** `textFor` gives the text for a terminal of so many columns: one line that is printable. */
  constructor(stream: TerminalStream, textFor: (columns: number) => string) {
    this.#stream = stream;
    this.#textFor = textFor;
    stream.on("resize", this.#redraw);
    this.draw();
  }

  /** Shows the text as it is now. */
  draw(): void {
    this.#stream.write(`\r${this.#line()}${clear}\r`);
  }

  /** Writes whole lines above. */
  writeAbove(lines: string): void {
    this.#stream.write(`\r${clear}${lines}\n${this.#line()}${clear}\r`);
  }

  /** Lets `write` write whole lines above to another stream of the same terminal. */
  makeWay(write: () => void): void {
    this.#stream.write(`\r${clear}`);
    write();
    this.draw();
  }

  /** Shows the text a last time and leaves it; what is written next begins in the line after it. */
  end(): void {
    this.#stream.off("resize", this.#redraw);
    this.#stream.write(`\r${this.#line()}${clear}\r\n`);
  }

  #line(): string {
    return cutAtEdge(this.#textFor(this.#stream.columns || 80));
  }
}

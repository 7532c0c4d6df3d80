import { printable } from "./printable.ts";

/** Characters that take two columns of a terminal: East Asian wide ones, and pictures. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Characters that stand upon the one before them, or are not seen. */
const attached = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns between two places where a tab ends. */
const tabStop = 8;

/**
 * Breaks lines between words, in a text that comes piece by piece and is shown as it comes: where a word reaches over
 * the edge, a line break is shown instead of the spaces before it. Words wait until it is known whether they fit; one
 * that is longer than a line is broken where the terminal does it.
 */
export class WordWrap {
  readonly #columns: () => number | null;
  /** Column that the next character comes to, from 0; as many as there are columns when the line is full. */
  #column = 0;
  /** Spaces and as much of the word after them as has come, not shown yet. */
  #waiting = "";

  /** `columns` gives how many a line has by now; nothing is changed while that is null. */
  constructor(columns: () => number | null) {
    this.#columns = columns;
  }

  /** What is to be shown now that `text` has come. */
  add(text: string): string {
    const columns = this.#columns();
    if (columns === null) return this.end() + text;
    let shown = "";
    for (const character of printable(text)) shown += this.#take(character, columns);
    return shown;
  }

  /** What has waited, when nothing more comes. */
  end(): string {
    const rest = this.#waiting;
    this.#waiting = "";
    this.#column += widthOf(rest);
    return rest;
  }

  #take(character: string, columns: number): string {
    if (character === " ") {
      const shown = this.#waiting.endsWith(" ") ? "" : this.end();
      this.#waiting += " ";
      return shown;
    }
    const isWide = wide.test(character); // a line may end before and after it
    const before = isWide && !this.#waiting.endsWith(" ") ? this.end() : "";
    if (this.#waiting === "" || character === "\n" || character === "\t") {
      return before + this.end() + this.#show(character, columns);
    }
    this.#waiting += character;
    if (this.#column + widthOf(this.#waiting) > columns) return before + this.#turn();
    return isWide ? before + this.end() : before;
  }

  /** Shows what has waited, in a new line unless it is at the beginning of one. */
  #turn(): string {
    if (this.#column === 0) return this.end();
    this.#waiting = this.#waiting.trimStart();
    this.#column = 0;
    return `\n${this.end()}`;
  }

  #show(character: string, columns: number): string {
    const width = widthOf(character);
    if (character === "\n") this.#column = 0;
    else if (character === "\t") this.#column += tabStop - (this.#column % tabStop);
    else this.#column = this.#column + width > columns ? width : this.#column + width;
    return character;
  }
}

/** Columns that a text without line breaks and tabs takes. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += attached.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

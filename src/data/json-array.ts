import { DataError } from "../core/errors.ts";

/** The text of one item of a JSON array, and the 1-based line of the file where it begins. */
export interface ArrayItem {
  readonly text: string;
  readonly line: number;
}

/** Longest item accepted, in UTF-16 units. */
const maxItemLength = 2 ** 28;

/**
 * The items of a file that is one JSON array, one at a time and without parsing them, so that a file larger than memory
 * can be read.
 *
 * @param path - How messages name the file.
 * @param pieces - Its text.
 * @throws {DataError} naming the line, when the array is not closed, something follows it, or an item is too long.
 */
export async function* readArrayItems(
  path: string,
  pieces: AsyncIterable<string>,
): AsyncGenerator<ArrayItem, void, undefined> {
  const splitter = new ItemSplitter(path);
  for await (const piece of pieces) yield* splitter.add(piece);
  splitter.end();
}

class ItemSplitter {
  readonly #path: string;
  /** Everything that may change where an item ends. */
  readonly #marks = /["\\{}[\],\n]/g;
  #parts: string[] = [];
  #length = 0;
  #line = 1;
  /** Line where the item's own bracket opens. */
  #itemLine: number | null = null;
  /** Brackets that are open; 0 before the array and behind it. */
  #depth = 0;
  #isOver = false;
  #isText = false;
  /** Whether the character that comes is said by the backslash before it to be text. */
  #isEscaped = false;

  constructor(path: string) {
    this.#path = path;
  }

  *add(piece: string): Generator<ArrayItem, void, undefined> {
    const marks = this.#marks;
    let start = 0;
    marks.lastIndex = 0;
    if (this.#isEscaped && piece !== "") {
      marks.lastIndex = 1;
      this.#isEscaped = false;
    }
    for (let found = marks.exec(piece); found; found = marks.exec(piece)) {
      const at = marks.lastIndex - 1;
      const mark = found[0];
      if (mark === "\n") this.#line += 1;
      else if (this.#isText) this.#inText(mark, piece.length);
      else if (mark === '"') this.#isText = true;
      else if (this.#opensOrCloses(mark)) {
        yield* this.#item(piece.slice(start, at));
        start = at + 1;
      }
    }
    this.#keep(piece.slice(start));
  }

  /** @throws {DataError} when the array is not closed, or something follows it. */
  end(): void {
    if (this.#isOver && this.#parts.join("").trim() === "") return;
    const what = this.#isOver ? "has something behind its JSON array" : "ends in the middle of its JSON array";
    throw new DataError(`${this.#path}, line ${this.#line}: ${what}; fetch or write it again`);
  }

  #inText(mark: string, length: number): void {
    if (mark === '"') this.#isText = false;
    if (mark !== "\\") return;
    this.#isEscaped = this.#marks.lastIndex === length;
    this.#marks.lastIndex += 1;
  }

  /** Whether a mark is one of the array itself: its brackets, or a comma between items. */
  #opensOrCloses(mark: string): boolean {
    if (this.#isOver) throw new DataError(`${this.#path}, line ${this.#line}: has something behind its JSON array`);
    if (mark === ",") return this.#depth === 1;
    const isOpening = mark === "[" || mark === "{";
    if (isOpening && this.#depth === 1) this.#itemLine ??= this.#line;
    this.#depth += isOpening ? 1 : -1;
    if (this.#depth === 0) this.#isOver = true;
    return this.#depth === 0 || (isOpening && this.#depth === 1);
  }

  *#item(last: string): Generator<ArrayItem, void, undefined> {
    const text = this.#parts.join("") + last;
    [this.#parts, this.#length] = [[], 0];
    const line = this.#itemLine ?? this.#line;
    this.#itemLine = null;
    if (text.trim() !== "") yield { text, line };
  }

  #keep(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
    if (this.#length > maxItemLength) {
      throw new DataError(`${this.#path}, line ${this.#line}: an item is longer than ${maxItemLength} characters`);
    }
  }
}

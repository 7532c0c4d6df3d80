import { isJsonObject } from "../../files/json.ts";
import { OwnedLines } from "../../files/owned-lines.ts";

/** Rows of a JSONL file that this process alone adds to, each once under its id. */
export class RowFile<Row extends object> {
  readonly #file: OwnedLines;
  readonly #rows: Row[];
  readonly #ids = new Map<string, Promise<void>>();

  private constructor(file: OwnedLines) {
    this.#file = file;
    const all = file.lines.map((line) => JSON.parse(line) as Row & { readonly id?: unknown });
    for (const { id } of all) if (typeof id === "string") this.#ids.set(id, Promise.resolve());
    this.#rows = all;
  }

  /**
   * @param column - What every row has a list in.
   * @throws {FileError} when another process writes it.
   * @throws {DataError} when it holds other rows.
   */
  static async open<Row extends object>(path: string, column: string): Promise<RowFile<Row>> {
    const isLine = (line: string): boolean => {
      const value = parsed(line);
      return isJsonObject(value) && Array.isArray(value[column]);
    };
    const remedy = "start the server with another --feedback";
    return new RowFile(await OwnedLines.open(path, { isLine, what: `row with ${column}`, remedy }));
  }

  /** All of them, oldest first. */
  get rows(): readonly Row[] {
    return this.#rows;
  }

  /** Adds a row, which is on disk when this is over, unless there is one of that id. */
  async add(id: string, row: Row): Promise<void> {
    const before = this.#ids.get(id);
    if (before) return before;
    const adding = this.#file.append(JSON.stringify({ ...row, id })).then(() => {
      this.#rows.push(row);
    });
    this.#ids.set(id, adding);
    adding.catch(() => this.#ids.delete(id));
    return adding;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

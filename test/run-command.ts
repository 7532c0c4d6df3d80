import { Readable } from "node:stream";
import type { Command, Io } from "../src/cli/command.ts";

/** Runs a command with what is typed, and gives its result and what it shows. */
export async function runCommand(
  command: Command,
  given: object,
  typed: readonly string[] | Readable = [],
  outside: Partial<Pick<Io, "columns" | "stopSignal">> = {},
): Promise<{ result: object | undefined; shown: string }> {
  let shown = "";
  const add = (text: string): void => {
    shown += text;
  };
  const io: Io = {
    print: (line) => add(`${line}\n`),
    write: add,
    note: (line) => add(`${line}\n`),
    input: typed instanceof Readable ? typed : Readable.from(typed.map((line) => `${line}\n`)),
    isTerminal: false,
    columns: null,
    fail: () => {},
    progress: () => ({ update() {}, stop() {} }),
    stopSignal: () => new AbortController().signal,
    onInterrupt: () => () => undefined,
    ...outside,
  };
  return { result: await command.run(command.settings.parse(given), io), shown };
}

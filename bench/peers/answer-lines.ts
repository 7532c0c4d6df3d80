import { createInterface } from "node:readline";

/**
 * The peers' side of their protocol: each line of standard input is a JSON command, answered by one line of JSON on
 * standard output, in order. A command that fails is answered `{"error": "…"}` and the next one is read.
 */
export async function answerLines<Command>(answer: (command: Command) => Promise<object>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    const reply = await answer(JSON.parse(line) as Command).catch((error: unknown) => ({
      error: error instanceof Error ? error.message : String(error),
    }));
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

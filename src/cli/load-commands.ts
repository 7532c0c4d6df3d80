import type { Command } from "./command.ts";

/** Commands that answer someone at once, by their word: each is loaded by itself, in half the time that all of them take. */
const prompt: ReadonlyMap<string, () => Promise<Command>> = new Map<string, () => Promise<Command>>([
  ["generate", async () => (await import("./generate.ts")).generate],
  ["chat", async () => (await import("./chat.ts")).chat],
  ["score", async () => (await import("./score.ts")).score],
  ["embed", async () => (await import("./embed.ts")).embed],
  ["eval", async () => (await import("./eval.ts")).evaluate],
]);

/** The commands that a command line may be about: the one that it names, or all of them. */
export async function loadCommands([word = ""]: readonly string[]): Promise<readonly Command[]> {
  const load = prompt.get(word);
  return load ? [await load()] : (await import("./index.ts")).commands;
}

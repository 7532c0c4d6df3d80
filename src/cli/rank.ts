import { createInterface } from "node:readline";
import { z } from "zod";
import { counted } from "../core/counted.ts";
import type { Candidates } from "../data/ranking-file.ts";
import { parseOrder, RankingFile } from "../data/ranking-file.ts";
import { readCandidates, shownOrder } from "../data/ranking-tasks.ts";
import { badRowSettings, readNotingBad } from "../stages/row-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";

const help = "type the numbers best first, = between equal ones (3 1=4 2); s skips, u takes the last one back, q ends";

/** `stemma rank`: people say which answers they prefer. */
export const rank = defineCommand({
  name: "rank",
  summary: "order sampled answers by preference, blind, with the keyboard",
  group: "Data and files",
  settings: z.object({
    samples: z.string().min(1).describe("prompts and answers, from stemma sample").meta({ placeholder: "file" }),
    output: z
      .string()
      .min(1)
      .default("rankings.jsonl")
      .describe("rankings file to add to; stemma reward and stemma dpo read it")
      .meta({ placeholder: "file" }),
    rater: z.string().optional().describe("who ranks, written beside each ranking").meta({ placeholder: "name" }),
    seed: z.int().nonnegative().default(1).describe("number that the order of the answers follows from"),
    ...badRowSettings,
  }),
  examples: ["stemma rank --samples samples.jsonl --output rankings.jsonl"],
  async run({ samples, output, rater, seed, badRows }, io) {
    const all = await readNotingBad({ badRows }, io, (bad) => readCandidates(samples, bad));
    const file = await RankingFile.open(output);
    if (file.wasMended) io.note(`${output}: its last line was cut short when it was written, and is taken away`);
    const lines = createInterface({ input: io.input });
    io.stopSignal().addEventListener("abort", () => lines.close(), { once: true });
    try {
      await rankAll(all, file, { rater, seed }, { io, lines: lines[Symbol.asyncIterator]() });
    } finally {
      lines.close(); // a terminal that is still read from keeps the process alive
      await file.close();
    }
    const left = all.filter((candidates) => !file.has(candidates)).length;
    io.print(`${counted(file.length, "ranking")} in ${output}; ${left} of ${all.length} prompts left`);
    return { output, rankings: file.length, left };
  },
});

/** Shows what is not ranked yet, one prompt after another, until all are or the input ends. */
async function rankAll(
  all: readonly Candidates[],
  file: RankingFile,
  { rater, seed }: { readonly rater: string | undefined; readonly seed: number },
  { io, lines }: { readonly io: Io; readonly lines: AsyncIterator<string> },
): Promise<void> {
  const done: number[] = [];
  io.note(help);
  let index = all.findIndex((candidates) => !file.has(candidates));
  while (index >= 0 && index < all.length) {
    const candidates = all[index] as Candidates;
    const order = shownOrder(seed, index, candidates.completions.length);
    const start = performance.now();
    show(candidates, order, `${index + 1} of ${all.length}`, io);
    const decision = await decide(lines, order, io);
    if (decision === "quit") return;
    if (decision === "undo") {
      index = done.pop() ?? index;
      if (file.has(all[index] as Candidates)) await file.undo();
      continue;
    }
    done.push(index);
    if (decision !== "skip") {
      const seconds = Math.round((performance.now() - start) / 100) / 10;
      const details = { rater, seconds, shown: [...order], ratedAt: new Date().toISOString() };
      await file.append(candidates, decision, details);
    }
    index = all.findIndex((next, i) => i > index && !file.has(next));
  }
}

/** Answers in a random order, without a word about where they come from. */
function show({ prompt, completions }: Candidates, order: Uint32Array, place: string, io: Io): void {
  io.write(
    `\n── ${place} ──\n${typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join("\n")}\n`,
  );
  for (const [i, answer] of order.entries()) io.write(`\n  ${i + 1}. ${completions[answer] ?? ""}\n`);
}

/** Ranks of the answers in their own order, or what else to do. */
async function decide(
  lines: AsyncIterator<string>,
  order: Uint32Array,
  io: Io,
): Promise<readonly number[] | "skip" | "undo" | "quit"> {
  for (;;) {
    io.write("\norder> ");
    const { value, done } = await lines.next();
    if (done || value.trim() === "q") return "quit";
    if (value.trim() === "s") return "skip";
    if (value.trim() === "u") return "undo";
    const shown = parseOrder(value, order.length);
    if (typeof shown === "string") io.note(`${shown}; ${help}`);
    else return Array.from(order, (_, answer) => shown[order.indexOf(answer)] ?? 0);
  }
}

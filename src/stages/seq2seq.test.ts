import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeTexts } from "../generate/text-to-text.ts";
import { loadTextToText } from "../models/load-text-to-text.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { wholeText } from "../text/text-bounds.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";
import { seq2seq } from "./seq2seq.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-seq2seq-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Every pair of letters of eight, to be written the other way round. */
const letters = [..."abcdefgh"];
const pairs = letters.flatMap((a) => letters.map((b) => ({ source: `${a} ${b}`, target: `${b}${a}` })));
const data = join(root, "pairs.jsonl");
writeFileSync(data, pairs.map((row) => `${JSON.stringify(row)}\n`).join(""));

const tiny = { layers: 1, heads: 2, width: 32, context: 16, batchSize: 16, warmupSteps: 20, learningRate: 5e-3 };
let runs = 0;

async function run(given: object, notes: string[] = []): Promise<StageResult> {
  const output = join(root, `run-${runs++}`);
  const settings = seq2seq.settings.parse({
    data: [data],
    tokenizer: "characters",
    steps: 4,
    output,
    ...tiny,
    ...given,
  });
  return runStage(seq2seq, settings, { note: (line) => notes.push(line) });
}

test("a Transformer learns to turn pairs round, on rows that it has not seen, too", async () => {
  const notes: string[] = [];
  const { output, model, metrics } = await run({ steps: 250, validationShare: 0.15, labelSmoothing: 0.1 }, notes);
  const report = JSON.parse(readFileSync(join(output, "report.json"), "utf8")) as { rows: number; exactMatch: number };
  expect(report.rows).toBeGreaterThan(3);
  expect(report.exactMatch).toBeGreaterThan(0.6);
  expect(metrics.eval_loss).toBeLessThan(0.7);
  expect(notes.at(-1)).toMatch(/^of \d+ held-out rows \d+\.\d % are written exactly, chrF/);
  const opened = await loadTextToText(model ?? "", openReference());
  const tokenizer = await loadTokenizer(model ?? "");
  const text = wholeText(tokenizer, tokenizer.encode("c f"), opened.model.settings.endOfText);
  const [written] = await writeTexts(opened.model, [text], { sampling: { temperature: 0 }, maxNewTokens: 5, seed: 1 });
  expect(tokenizer.decode(written?.tokens ?? [])).toBe("fc");
});

describe("every family, new and then from its folder", () => {
  test.each(["transformer", "bart", "t5"])("%s", async (family) => {
    const first = await run({ model: family });
    const { layers: _, heads: __, width: ___, context: ____, ...rest } = tiny;
    const more = { ...rest, model: first.model, data: [data], steps: 2, output: join(root, `again-${family}`) };
    const again = await runStage(seq2seq, seq2seq.settings.parse(more), { note: () => undefined });
    expect(again.step).toBe(2);
    expect(again.metrics.eval_loss).toBeGreaterThan(0);
  });
});

test.each([
  [
    { model: "gpt2" },
    "model: gpt2 is a gpt2, which does not read one text and write another; take transformer, bart, t5",
  ],
  [{ context: 3, longRows: "error" }, "tokens, the model reads 3 and writes 3; shorten it, raise --context"],
  [{ context: 2 }, "context: no row is short enough to learn from; raise it"],
])("%j is refused", async (given, message) => {
  await expect(run(given)).rejects.toThrow(message);
});

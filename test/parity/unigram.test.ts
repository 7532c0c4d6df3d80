import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { JsonRecord } from "../../src/files/json.ts";
import { tokenizerFromJson } from "../../src/text/read-tokenizer.ts";
import { tokenizerFiles } from "../../src/text/tokenizer-files.ts";
import { UnigramTrainer } from "../../src/text/unigram-trainer.ts";

/** What record/unigram.py records first: texts, and how likely one is by what the library's trainer learns from it. */
interface Recorded {
  readonly texts: readonly string[];
  readonly training: {
    readonly text: string;
    readonly size: number;
    readonly tokens: number;
    readonly log_likelihood: number;
  };
}

/** What the `tokenizers` library makes of the texts with one tokenizer. */
interface RecordedCase {
  readonly name: string;
  readonly tokenizer: JsonRecord;
  readonly ids: readonly (readonly number[])[];
  readonly decoded: readonly string[];
  readonly without_special: readonly string[];
  readonly pair: readonly number[];
}

const folder = new URL("fixtures/unigram/", import.meta.url);
const [first, ...others] = readFileSync(new URL("recorded.jsonl", folder), "utf8").trimEnd().split("\n");
const recorded = JSON.parse(first!) as Recorded;
const cases = others.map((line) => JSON.parse(line) as RecordedCase);
const charsmap = readFileSync(new URL("nmt_nfkc.bin", folder)).toString("base64");
const withCharsmap = (json: JsonRecord): JsonRecord =>
  JSON.parse(JSON.stringify(json).replaceAll('"nmt_nfkc.bin"', JSON.stringify(charsmap))) as JsonRecord;

test.each(cases)("$name: ids and texts are those of tokenizers", (described) => {
  const tokenizer = tokenizerFromJson("x", withCharsmap(described.tokenizer));
  for (const [i, text] of recorded.texts.entries()) {
    const ids = described.ids[i]!;
    expect([text, ...tokenizer.encode(text)]).toEqual([text, ...ids]);
    expect(tokenizer.decode(ids)).toBe(described.decoded[i]);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(described.without_special[i]);
    const cut = tokenizer.cutPoint(text);
    const parts = [text.slice(0, cut), text.slice(cut)].flatMap((part) => [...tokenizer.encode(part)]);
    expect([text, ...parts]).toEqual([text, ...ids]);
    // Half of a surrogate pair counts as U+FFFD.
    expect(tokenizer.encode(`${text}\ud83d`)).toEqual(tokenizer.encode(`${text}\ufffd`));
  }
  const [one, two] = [0, 2].map((i) => tokenizer.encode(recorded.texts[i]!));
  expect([...tokenizer.frame(one!, two).ids]).toEqual(described.pair);
  const read = tokenizerFromJson("x", JSON.parse(tokenizerFiles(tokenizer)["tokenizer.json"]!), tokenizer.roles);
  expect(tokenizerFiles(read)).toEqual(tokenizerFiles(tokenizer));
});

test("the pieces that are learned make a text as likely as those of tokenizers' trainer", () => {
  const { text, size, tokens, log_likelihood: peers } = recorded.training;
  const trainer = new UnigramTrainer({ vocabularySize: size });
  trainer.add(text);
  const tokenizer = trainer.train();
  expect(tokenizer.vocabularySize).toBe(size);
  const scores = tokenizer.toJson().model.vocab as readonly (readonly [string, number])[];
  const ids = [...tokenizer.encode(text)];
  const logLikelihood = ids.reduce((sum, id) => sum + scores[id]![1], 0);
  expect(logLikelihood / peers).toBeLessThan(1.01);
  expect(ids.length / tokens).toBeLessThan(1.05);
  expect(tokenizer.decode(ids)).toBe(text);
});

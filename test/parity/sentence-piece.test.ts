import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TextFiles } from "../../src/files/text-files.ts";
import { readTokenizer, tokenizerFromJson } from "../../src/text/read-tokenizer.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { tokenizerFiles } from "../../src/text/tokenizer-files.ts";

/** Model files and the ids and texts that sentencepiece has; `record/sentence_piece.py` makes them. */
const folder = join(import.meta.dirname, "fixtures/sentence-piece");
const [head, ...cases] = readFileSync(join(folder, "recorded.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
const texts: readonly string[] = head.texts;
const charsmap = readFileSync(join(folder, "../unigram/nmt_nfkc.bin"));

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

/** The model with its map of characters: a further normalizer_spec, which protobuf merges with the first. */
function modelOf({ name, mapped }: { name: string; mapped: boolean }): Uint8Array {
  const model = readFileSync(join(folder, `${name}.model`));
  if (!mapped) return model;
  const inner = Buffer.from([18, ...varint(charsmap.length)]);
  return Buffer.concat([model, Buffer.from([26, ...varint(inner.length + charsmap.length)]), inner, charsmap]);
}

function filesOf(contents: Readonly<Record<string, string | Uint8Array | undefined>>): TextFiles {
  const at = (name: string) => contents[name] ?? null;
  return {
    where: (name) => name,
    read: async (name) => at(name) as string | null,
    readBytes: async (name) => at(name) as Uint8Array | null,
  };
}

const known = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model"];

async function read(file: string, model: Uint8Array, beside: Record<string, string> = {}): Promise<Tokenizer> {
  const files = filesOf({ ...beside, [file]: model });
  return (await readTokenizer(files, known.includes(file) ? undefined : file))!;
}

const named = (name: string) => cases.find((described) => described.name === name);

test.each(cases)("$name: ids and texts are sentencepiece's", async (described) => {
  const tokenizer = await read("any.model", modelOf(described));
  for (const [i, text] of texts.entries()) {
    expect([text, ...tokenizer.encode(text)]).toEqual([text, ...described.ids[i]]);
    expect([text, tokenizer.decode(described.ids[i])]).toEqual([text, described.decoded[i].replaceAll(" ⁇ ", "<unk>")]);
  }
  const json = JSON.parse(tokenizerFiles(tokenizer)["tokenizer.json"]!);
  const again = tokenizerFromJson("x", json, tokenizer.roles);
  for (const text of texts) expect(again.encode(text)).toEqual(tokenizer.encode(text));
});

test("T5 has its sentinels behind the pieces, and </s> behind a text", async () => {
  const described = named("unigram");
  const tokenizer = await read("spiece.model", modelOf(described));
  for (const [i, text] of texts.entries()) {
    expect([text, ...tokenizer.encode(text)]).toEqual([text, ...described.ids[i]]);
  }
  const { vocabularySize: size } = tokenizer;
  expect([tokenizer.idOf("<extra_id_0>"), tokenizer.idOf("<extra_id_99>")]).toEqual([size - 1, size - 100]);
  expect([...tokenizer.encode("<extra_id_1>")]).toEqual([size - 2]);
  expect([...tokenizer.frame(tokenizer.encode("")).ids]).toEqual([1]);
  expect(tokenizer.roles).toMatchObject({ pad: "<pad>", eos: "</s>", unk: "<unk>" });
  const bare = await read("spiece.model", modelOf(described), { "tokenizer_config.json": '{"extra_ids": 0}' });
  expect(bare.vocabularySize).toBe(size - 100);
});

test("XLM-R moves all pieces by one, behind fairseq's four tokens", async () => {
  const described = named("fairseq");
  const tokenizer = await read("sentencepiece.bpe.model", modelOf(described));
  for (const [i, text] of texts.entries()) {
    const ids = described.ids[i].map((id: number) => (id === 0 ? 3 : id + 1));
    expect([text, ...tokenizer.encode(text)]).toEqual([text, ...ids]);
  }
  expect(["<s>", "<pad>", "</s>", "<unk>"].map((token) => tokenizer.idOf(token))).toEqual([0, 1, 2, 3]);
  expect(tokenizer.idOf("<mask>")).toBe(tokenizer.vocabularySize - 1);
  const [one, two] = [Int32Array.of(7), Int32Array.of(8)];
  expect([...tokenizer.frame(one, two).ids]).toEqual([0, 7, 2, 2, 8, 2]);
});

test("Llama begins a text with <s>, unless the folder says otherwise", async () => {
  const model = modelOf(named("llama"));
  const tokenizer = await read("tokenizer.model", model);
  expect([...tokenizer.frame(tokenizer.encode("the")).ids]).toEqual([1, ...tokenizer.encode("the")]);
  expect(tokenizer.roles).toEqual({ unk: "<unk>", bos: "<s>", eos: "</s>" });
  const ended = await read("tokenizer.model", model, {
    "tokenizer_config.json": '{"add_bos_token": false, "add_eos_token": true, "tokenizer_class": "LlamaTokenizer"}',
  });
  expect([...ended.frame(Int32Array.of(9)).ids]).toEqual([9, 2]);
});

test("Marian cuts what it reads and what it writes by a model each, and numbers both by one vocabulary", async () => {
  const recorded = JSON.parse(readFileSync(join(folder, "marian.jsonl"), "utf8"));
  const tokens: readonly string[] = recorded.tokens;
  const vocab = JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id])));
  const [source, target] = [modelOf(named("unigram")), modelOf(named("fairseq"))];
  const files = { "source.spm": source, "target.spm": target, "vocab.json": vocab };
  const tokenizer = (await readTokenizer(filesOf(files)))!;
  const written = tokenizerFiles(tokenizer);
  expect(Object.keys(written)).toEqual([...Object.keys(files), "tokenizer_config.json"]);
  for (const [name, contents] of Object.entries(files)) {
    expect(Buffer.from(written[name]!).equals(Buffer.from(contents))).toBe(true);
  }
  for (const read of [tokenizer, (await readTokenizer(filesOf(written)))!]) {
    for (const [i, text] of (recorded.texts as string[]).entries()) {
      expect([text, ...read.frame(read.encode(text)).ids]).toEqual([text, ...recorded.source[i]]);
      expect([text, ...read.frame(read.target!.encode(text)).ids]).toEqual([text, ...recorded.target[i]]);
    }
    expect(read.roles).toEqual({ unk: "<unk>", eos: "</s>", pad: "<pad>" });
    expect(read.decode(read.encode(">>de<< The quick"))).toBe(">>de<< The quick");
  }
  const more = tokenizer.withSpecialTokens(["<more>"]);
  const again = (await readTokenizer(filesOf(tokenizerFiles(more))))!;
  expect([again.idOf("<more>"), again.vocabularySize]).toEqual([tokens.length, tokens.length + 1]);
});

test.each([
  [{ "target.spm": undefined }, "target.spm: is missing; source.spm needs it, fetch it as well"],
  [{ "vocab.json": undefined }, "vocab.json: is missing; source.spm needs it, fetch it as well"],
  [{ "vocab.json": '{"</s>": 0}' }, "vocab.json: has no unknown token <unk>; the file is damaged, fetch it again"],
  [{ "vocab.json": '{"</s>": 0, "<unk>": 1, "x": -1}' }, 'vocab.json: token "x" has the id -1'],
  [{ "target.spm": Uint8Array.of(10, 200) }, "target.spm: byte 2 begins something of 1 bytes, 0 are left"],
  [{ "tokenizer_config.json": '{"separate_vocabs": true}' }, "tokenizer_config.json: separate_vocabs is true"],
])("Marian's files that do not fit are named: %j", async (changed, says) => {
  const model = modelOf(named("llama"));
  const whole = { "source.spm": model, "target.spm": model, "vocab.json": '{"</s>": 0, "<unk>": 1}' };
  await expect(readTokenizer(filesOf({ ...whole, ...changed }))).rejects.toThrow(says);
});

test("a long text has the ids of its parts", async () => {
  const tokenizer = await read("spiece.model", modelOf(named("unigram")));
  for (const text of [...texts, "한국어 각", "e\u0301 ﬁ"]) {
    const ids = [...tokenizer.encode(`${text} `)];
    expect([text, ...tokenizer.encode(`${text} `.repeat(300))]).toEqual([text, ...Array(300).fill(ids).flat()]);
  }
});

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { DataError, SettingsError } from "../core/errors.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { tokenizerFromJson } from "../text/read-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { PreparationSettings, PretrainingData } from "./prepare.ts";
import { preparePretraining } from "./prepare.ts";
import type { PreparationProgress } from "./prepare-source.ts";
import { defaultTokenCache } from "./token-cache.ts";
import type { TokenFile } from "./token-file.ts";

const scratch = mkdtempSync(join(tmpdir(), "stemma-prepare-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const prose = "It is a truth universally acknowledged, that a single man — one of 1,813 — must be in want of a wife.\n";
const bpe = trainByteLevelBpe([prose.repeat(3)], { vocabularySize: 300 });

/** A token for every code point: a vocabulary too large for 16 bits, and no end-of-text token. */
const codePoints = {
  kind: "characters",
  vocabularySize: 0x110000,
  endOfText: null,
  encode: (text: string) => Int32Array.from(text, (character) => character.codePointAt(0)!),
  decode: (ids: Iterable<number>) => String.fromCodePoint(...ids),
  cutPoint: (text: string) => text.length,
  roles: {},
  frame: (ids: Int32Array) => ({ ids, typeIds: new Int32Array(ids.length) }),
  toJson: () => ({ model: { type: "code points" } }),
} as unknown as Tokenizer;

/** A folder of its own for each test, with some files. */
function project(files: Record<string, string>): string {
  const cwd = mkdtempSync(join(scratch, "project-"));
  for (const [name, contents] of Object.entries(files)) writeFileSync(join(cwd, name), contents);
  return cwd;
}

async function prepare(cwd: string, settings: Partial<PreparationSettings> = {}): Promise<PretrainingData> {
  const cacheFolder = join(cwd, "cache");
  const data = await preparePretraining({ data: ["a.txt"], tokenizer: bpe, cacheFolder, cwd, ...settings });
  onTestFinished(data.close);
  return data;
}

function idsOf(file: TokenFile | undefined): Int32Array {
  const ids = new Int32Array(file?.length ?? 0);
  file?.read(0, ids);
  return ids;
}

const end = Int32Array.of(bpe.endOfText!);
const joined = (...parts: Int32Array[]): number[] => parts.flatMap((part) => [...part]);

test("a single document gives its last tenth to validation, cut at a word", async () => {
  const text = prose.repeat(200);
  const { training, validation, reused } = await prepare(project({ "a.txt": text }));
  const place = bpe.decode(idsOf(training[0]!.file), { skipSpecialTokens: true }).length;
  expect(text.slice(place - 1, place + 1)).toMatch(/[a-z]\s/);
  expect(place / text.length).toBeCloseTo(0.9, 2);
  expect([...idsOf(training[0]!.file)]).toEqual(joined(bpe.encode(text.slice(0, place)), end));
  expect([...idsOf(validation[0])]).toEqual(joined(bpe.encode(text.slice(place)), end));
  expect(reused).toBe(false);
});

test("documents are separated by the end-of-text token, and the numbers of a file are true", async () => {
  const cwd = project({ "a.txt": `${prose}😀`, "b.jsonl": '{"text":"second one"}\n{"text":"third"}' });
  const { training, validation } = await prepare(cwd, { data: ["a.txt", "b.jsonl"], validationFraction: 0 });
  const { file } = training[0]!;
  const expected = joined(bpe.encode(`${prose}😀`), end, bpe.encode("second one"), end, bpe.encode("third"), end);
  expect([...idsOf(file)]).toEqual(expected);
  const whole = `${prose}😀second onethird`;
  expect(file.info).toMatchObject({
    tokens: expected.length,
    documents: 3,
    characters: [...whole].length,
    bytes: Buffer.byteLength(whole),
    dtype: "uint16",
  });
  expect(validation).toEqual([]);
});

test("a long file has the ids of its text encoded at once", async () => {
  const text = `${prose}\n  ${prose.repeat(7)}\t漢字`.repeat(800);
  const { training } = await prepare(project({ "a.txt": text }), { validationFraction: 0 });
  const expected = Buffer.from(Int32Array.from(joined(bpe.encode(text), end)).buffer);
  expect(Buffer.from(idsOf(training[0]!.file).buffer).equals(expected)).toBe(true);
});

test("documents are divided whole, and every one of them is on one side", async () => {
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${prose}`);
  const cwd = project({ "a.jsonl": texts.map((text) => JSON.stringify({ text })).join("\n") });
  const { training, validation } = await prepare(cwd, { data: ["a.jsonl"] });
  const read = (file: TokenFile | undefined): string[] =>
    bpe
      .decode(idsOf(file))
      .split("<|endoftext|>")
      .filter((t) => t !== "");
  const [train, held] = [read(training[0]!.file), read(validation[0])];
  expect([...train, ...held].sort()).toEqual(texts.sort());
  expect(held.length).toBeGreaterThanOrEqual(8);
  expect(held.length).toBeLessThanOrEqual(13);
  expect(training[0]!.file.info.documents + validation[0]!.info.documents).toBe(100);
});

test("given validation text, all of the data is for training", async () => {
  const cwd = project({ "a.txt": prose, "v.txt": "held out", "w.txt": "as well" });
  const { training, validation } = await prepare(cwd, { validation: ["v.txt", "w.txt"] });
  expect([...idsOf(training[0]!.file)]).toEqual(joined(bpe.encode(prose), end));
  expect([...idsOf(validation[0])]).toEqual(joined(bpe.encode("held out"), end, bpe.encode("as well"), end));
});

test("weighted sources have files of their own", async () => {
  const cwd = project({ "a.txt": prose.repeat(20), "b.txt": prose.repeat(10) });
  const { training, validation } = await prepare(cwd, { data: ["a.txt=3", { path: "b.txt", weight: 0.5 }] });
  expect(training.map(({ file, weight }) => [file.name, weight])).toEqual([
    ["a.txt", 3],
    ["b.txt", 0.5],
  ]);
  expect(validation.map(({ name }) => name)).toEqual(["a.txt", "b.txt"]);
});

test("a vocabulary beyond 16 bits is stored in 32, and a tokenizer without end-of-text adds nothing", async () => {
  const text = "漢😀a ".repeat(50);
  const { training } = await prepare(project({ "a.txt": text }), { tokenizer: codePoints, validationFraction: 0 });
  const { file } = training[0]!;
  expect(String.fromCodePoint(...idsOf(file))).toBe(text);
  expect(file.info).toMatchObject({ dtype: "uint32", endOfText: null, firstToken: { characters: 1, bytes: 3 } });
});

test("documents begin as their tokenizer begins texts, unless that is the end of the one before", async () => {
  const beginning = (token: string): Tokenizer => {
    const own = bpe.withSpecialTokens(["<s>"], { bos: token });
    const ids = [own.idOf(token)];
    const pieces = [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
    const template = { type: "TemplateProcessing", single: pieces, pair: pieces };
    const special_tokens = { [token]: { id: token, ids, tokens: [token] } };
    return tokenizerFromJson("x", { ...own.toJson(), post_processor: { ...template, special_tokens } }, own.roles);
  };
  const cwd = project({ "a.jsonl": '{"text":"one"}\n{"text":"two"}\n' });
  const idsWith = async (tokenizer: Tokenizer): Promise<number[]> => {
    const { training } = await prepare(cwd, { data: ["a.jsonl"], tokenizer, validationFraction: 0 });
    return [...idsOf(training[0]!.file)];
  };
  const [one, two] = [[...bpe.encode("one")], [...bpe.encode("two")]];
  const begin = beginning("<s>").idOf("<s>");
  expect(await idsWith(beginning("<s>"))).toEqual([begin, ...one, ...end, begin, ...two, ...end]);
  expect(await idsWith(beginning("<|endoftext|>"))).toEqual([...one, ...end, ...two, ...end]);
});

test("special tokens in the text stay text unless wanted", async () => {
  const cwd = project({ "a.txt": "one<|endoftext|>two" });
  const plain = await prepare(cwd, { validationFraction: 0 });
  expect([...idsOf(plain.training[0]!.file)].filter((id) => id === bpe.endOfText)).toHaveLength(1);
  const special = await prepare(cwd, { validationFraction: 0, recognizeSpecialTokens: true });
  expect([...idsOf(special.training[0]!.file)]).toEqual(joined(bpe.encode("one"), end, bpe.encode("two"), end));
});

test("token files are made once, and again when anything that matters is another", async () => {
  const cwd = project({ "a.txt": prose.repeat(50) });
  const path = join(cwd, "a.txt");
  const reused = async (settings: Partial<PreparationSettings> = {}): Promise<boolean> =>
    (await prepare(cwd, settings)).reused;
  expect(await reused()).toBe(false);
  expect(await reused()).toBe(true);
  expect(await reused({ splitSeed: 1 })).toBe(false);
  expect(await reused({ validationFraction: 0.2 })).toBe(false);
  expect(await reused({ recognizeSpecialTokens: true })).toBe(false);
  expect(await reused({ tokenizer: bpe.withSpecialTokens(["<|user|>"]) })).toBe(false);
  expect(await reused({ tokenizer: trainByteLevelBpe([prose], { vocabularySize: 299 }) })).toBe(false);
  expect(await reused()).toBe(true);

  const time = new Date(1_000_000_000_000);
  utimesSync(path, time, time);
  expect(await reused()).toBe(true); // the same text, copied or touched
  writeFileSync(path, prose.repeat(50).replace("truth", "lie, "));
  utimesSync(path, time, time);
  expect(await reused()).toBe(false); // another text of the same length and time
  expect(await reused()).toBe(true);
});

test("a damaged token file is made again", async () => {
  const cwd = project({ "a.txt": prose.repeat(50) });
  const first = await prepare(cwd);
  const expected = idsOf(first.training[0]!.file);
  const { path } = first.training[0]!.file;
  const damages = [
    () => truncateSync(path, 10),
    () => rmSync(path),
    () => writeFileSync(join(path, "../tokens.json"), "{"),
    () => rmSync(join(path, "../tokens.json")),
  ];
  for (const damage of damages) {
    damage();
    const again = await prepare(cwd);
    expect(again.reused).toBe(false);
    expect(idsOf(again.training[0]!.file)).toEqual(expected);
    expect((await prepare(cwd)).reused).toBe(true);
  }
});

test("an interrupted preparation leaves nothing that is used", async () => {
  const cwd = project({ "a.txt": prose.repeat(20_000) });
  const onProgress = ({ phase, tokens }: PreparationProgress): void => {
    if (phase === "encode" && tokens > 100_000) throw new Error("interrupted");
  };
  await expect(prepare(cwd, { onProgress })).rejects.toThrow("interrupted");
  expect(readdirSync(join(cwd, "cache"))).toEqual([]);
  const { reused, training } = await prepare(cwd);
  expect(reused).toBe(false);
  expect(training[0]!.file.length).toBeGreaterThan(100_000);
});

test("files already open go on when the cache is emptied", async () => {
  const cwd = project({ "a.txt": prose.repeat(50) });
  const { training } = await prepare(cwd);
  const expected = idsOf(training[0]!.file);
  renameSync(join(cwd, "cache"), join(cwd, "elsewhere"));
  rmSync(join(cwd, "elsewhere"), { recursive: true });
  expect(idsOf(training[0]!.file)).toEqual(expected);
});

test("progress goes through both phases up to the whole text", async () => {
  const text = prose.repeat(20_000);
  const seen: PreparationProgress[] = [];
  await prepare(project({ "a.txt": text }), { onProgress: (progress) => seen.push(progress) });
  const encode = seen.filter(({ phase }) => phase === "encode");
  expect(seen[0]?.phase).toBe("check");
  expect(encode.length).toBeGreaterThan(5);
  expect(encode.map(({ done }) => done)).toEqual(encode.map(({ done }) => done).sort((a, b) => a - b));
  expect(encode.at(-1)).toMatchObject({ source: "a.txt", done: text.length, total: text.length });
  expect(encode.at(-1)!.tokens).toBeGreaterThan(0);
});

test("the description beside the tokens names the sources", async () => {
  const cwd = project({ "a.txt": prose.repeat(50) });
  const { training } = await prepare(cwd);
  const folder = join(training[0]!.file.path, "..");
  expect(readdirSync(folder).sort()).toEqual(["tokens.json", "train.bin", "validation.bin"]);
  const description = JSON.parse(readFileSync(join(folder, "tokens.json"), "utf8"));
  expect(description.files).toMatchObject([{ path: join(cwd, "a.txt"), sizeBytes: Buffer.byteLength(prose) * 50 }]);
  expect(description.parts.train).toEqual(training[0]!.file.info);
});

test("the default cache is beside the run's folder", () => {
  expect(defaultTokenCache("/home/user/runs/first")).toBe(join("/home/user/runs", ".stemma", "tokens"));
});

test.each<[Record<string, string>, Partial<PreparationSettings>, RegExp]>([
  [
    { "a.txt": "é" },
    { tokenizer: { ...codePoints, encode: refuse } as Tokenizer, validationFraction: 0 },
    /a\.txt: no such character/,
  ],
  [{ "a.txt": "x" }, {}, /^a\.txt: has too little text for training \(1 characters in all\)/],
  [{ "a.jsonl": '{"text":"x"}\n{"txt":"y"}' }, { data: ["a.jsonl"] }, /a\.jsonl, line 2: has no string column "text"/],
  [{ "a.txt": prose }, { data: ["b.txt"] }, /^b\.txt: does not exist/],
])("refuses %j", async (files, settings, message) => {
  const preparing = prepare(project(files), settings);
  await expect(preparing).rejects.toThrow(message);
  await expect(preparing).rejects.toThrow(DataError);
});

function refuse(): never {
  throw new DataError("no such character");
}

test.each([-0.1, 0.5, Number.NaN])("refuses a fraction of %s", async (validationFraction) => {
  const preparing = prepare(project({ "a.txt": prose }), { validationFraction });
  await expect(preparing).rejects.toThrow(/validation-fraction: must be at least 0 and below 0\.5/);
  await expect(preparing).rejects.toThrow(SettingsError);
});

test("a text that changes while it is read is noticed", async () => {
  const cwd = project({ "a.txt": prose.repeat(5000) });
  let changed = false;
  const onProgress = (): void => {
    if (!changed) writeFileSync(join(cwd, "a.txt"), prose.repeat(4999));
    changed = true;
  };
  await expect(prepare(cwd, { onProgress })).rejects.toThrow(/a\.txt: changed while it was being read/);
});

test("a cache that cannot be written is an error with a remedy", async () => {
  const cwd = project({ "a.txt": prose.repeat(50) });
  mkdirSync(join(cwd, "taken"));
  writeFileSync(join(cwd, "taken/file"), "");
  await expect(prepare(cwd, { cacheFolder: join(cwd, "taken/file/cache") })).rejects.toThrow(
    /cannot write: a part of the path is a file, not a folder; check the path/,
  );
});

test("an id outside the vocabulary is a defect, not another token", async () => {
  const tokenizer = { ...codePoints, vocabularySize: 100 } as Tokenizer;
  const preparing = prepare(project({ "a.txt": "zzz" }), { tokenizer, validationFraction: 0 });
  await expect(preparing).rejects.toThrow("internal: token 122 is outside 0 … 99");
});

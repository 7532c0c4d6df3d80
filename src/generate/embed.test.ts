import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { backends } from "../../test/parity/backends.ts";
import { writeSmallEncoder } from "../../test/small-encoder.ts";
import { writeSmallModel } from "../../test/small-model.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { SettingsError } from "../core/errors.ts";
import { families } from "../models/index.ts";
import { embeddingInput, embedTexts, promptOf } from "./embed.ts";
import { embedderContents, openEmbedder } from "./embedder.ts";
import { npyPieces } from "./npy.ts";
import { nearestVectors, similarity } from "./similarity.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-embed-"));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(() => writeSmallEncoder(join(root, "bert")));

const texts = [
  "a",
  "the earth was without form",
  "in the beginning god created the heaven and the earth ".repeat(5),
  "",
  "void",
];

describe.each(backends)("on %s", (_, backend) => {
  test("a batch of any size gives the bits of one text alone", async () => {
    const embedder = await openEmbedder(join(root, "bert"), backend);
    const together = await embedTexts(embedder, texts, { batchSize: 5 });
    const apart = await embedTexts(embedder, texts, { batchSize: 1 });
    expect(together).toEqual(apart);
    expect(new Set(together.map((vector) => vector[0])).size).toBe(texts.length);
    for (const vector of together) expect(similarity("dot", vector, vector)).toBeCloseTo(1, 5);
  });
});

const backend = openReference();

test("what a folder leaves open is said, and a folder that was written says it", async () => {
  const notes: string[] = [];
  const embedder = await openEmbedder(join(root, "bert"), backend, { note: (line) => notes.push(line) });
  expect(notes.join()).toMatch(/does not say how states become an embedding: they are pooled by mean, and it gets/);
  await writeModelFolder(join(root, "written"), embedderContents(embedder));
  const again = await openEmbedder(join(root, "written"), backend, { note: (line) => notes.push(line) });
  expect(notes).toHaveLength(1);
  expect(again.model.modules).toEqual({ ...embedder.model.modules, maxLength: 64 });
  expect(await embedTexts(again, texts)).toEqual(await embedTexts(embedder, texts));
  expect(JSON.parse(readFileSync(join(root, "written/config.json"), "utf8")).architectures).toEqual(["BertModel"]);
});

test("a decoder's embedding is the state of its last token, and its folder opens again", async () => {
  await writeSmallModel(join(root, "llama"), families.llama);
  const embedder = await openEmbedder(join(root, "llama"), backend);
  expect(embedder.model.modules.pooling).toEqual(["lasttoken"]);
  const vectors = await embedTexts(embedder, ["In the", "In the beginning God"]);
  expect(vectors).toEqual(await embedTexts(embedder, ["In the", "In the beginning God"], { batchSize: 1 }));
  await writeModelFolder(join(root, "llama-again"), embedderContents(embedder));
  const again = await openEmbedder(join(root, "llama-again"), backend);
  expect(await embedTexts(again, ["In the", "In the beginning God"])).toEqual(vectors);
  await expect(embedTexts(embedder, ["In the", ""])).rejects.toThrow("text 2 of 2: has no tokens");
});

test("prompts stand before texts, and texts are cut to what fits with what frames them", async () => {
  const embedder = await openEmbedder(join(root, "bert"), backend);
  const modules = { ...embedder.model.modules, prompts: { query: "the " }, defaultPrompt: "query" };
  expect(promptOf(modules)).toBe("the ");
  expect(promptOf(modules, { prompt: "" })).toBe("");
  expect(() => promptOf(modules, { promptName: "passage" })).toThrow('no prompt "passage"; it has query');
  expect(() => promptOf(modules, { promptName: "query", prompt: "a" })).toThrow("are both given");
  const { tokenizer } = embedder;
  const asked = { tokenizer, maxLength: 5, model: { modules: { ...modules, includesPrompt: false } } };
  const { ids, skipped } = embeddingInput(asked, "earth earth earth earth", "the ");
  expect([...ids].map((id) => tokenizer.tokenOf(id))).toEqual(["[CLS]", "the", "earth", "earth", "[SEP]"]);
  expect(skipped).toBe(2);
});

test("likeness and search", () => {
  const [a, b] = [Float32Array.of(1, 0), Float32Array.of(3, 4)];
  expect(similarity("cosine", a, b)).toBeCloseTo(0.6);
  expect(similarity("dot", a, b)).toBe(3);
  expect(similarity("euclidean", a, b)).toBeCloseTo(-Math.sqrt(20));
  expect(similarity("manhattan", a, b)).toBe(-6);
  expect(nearestVectors(a, [b, a, b], 2).map(({ index }) => index)).toEqual([1, 0]);
});

test("a NumPy file has a header of whole lines of 64 bytes", () => {
  const bytes = Buffer.concat([...npyPieces([Float32Array.of(1, 2)], 2)]);
  expect(bytes.length).toBe(128 + 8);
  expect(Buffer.from(bytes.subarray(0, 69)).toString("latin1")).toBe(
    "\u0093NUMPY\u0001\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }",
  );
  expect(bytes.readFloatLE(132)).toBe(2);
  const many = Array.from({ length: 1000 }, (_, i) => Float32Array.of(i));
  const pieces = [...npyPieces(many, 1)];
  expect(pieces.length).toBeGreaterThan(3);
  expect(Buffer.concat(pieces).readFloatLE(128 + 4 * 999)).toBe(999);
});

test("a signal is heard while texts are encoded", async () => {
  const embedder = await openEmbedder(join(root, "bert"), backend);
  const encode = vi.spyOn(embedder.tokenizer, "encode");
  const many = new Array<string>(3_000_000).fill("the earth");
  const signal = AbortSignal.timeout(20);
  await expect(embedTexts(embedder, many, { signal })).rejects.toMatchObject({ name: "TimeoutError" });
  expect(encode.mock.calls.length).toBeLessThan(many.length);
});

test.each<[unknown, object, string]>([
  ["a text", {}, "embedTexts: texts must be a list of texts; give [text] for one"],
  [[5], {}, "embedTexts: texts must be a list of texts; give [text] for one"],
  [["a"], { batchSize: 0 }, "embedTexts: batchSize must be more than 0, got 0"],
  [["a"], { batchsize: 4 }, "embedTexts: has no setting batchsize; did you mean batchSize?"],
  [["a"], { prompt: 5 }, "embedTexts: prompt must be text, got 5"],
])("texts %j with %j are refused", async (given, options, message) => {
  const embedder = await openEmbedder(join(root, "bert"), backend);
  await expect(embedTexts(embedder, given as string[], options)).rejects.toThrow(new SettingsError(message));
});

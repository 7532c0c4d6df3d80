import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as stemma from "../src/browser.ts";
import { openAssistant } from "../src/generate/assistant.ts";
import { writeSmallModel } from "./small-model.ts";

const root = join(import.meta.dirname, "..");
const imports = /(?:^(?:import|export)\b(?! type)[^;"']*?from ?|^import |\bimport\(|\brequire\()["']([^"']+)["']/gm;

/** Every file that a file needs when it runs, packages included, and the modules of Node among what they name. */
function reached(from: string): { files: Set<string>; builtins: string[] } {
  const files = new Set<string>();
  const builtins: string[] = [];
  const waiting = [from];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const [, name = ""] of readFileSync(file, "utf8").matchAll(imports)) {
      if (name.startsWith("node:") || builtinModules.includes(name)) builtins.push(`${relative(root, file)}: ${name}`);
      else if (name.startsWith(".")) waiting.push(resolve(dirname(file), name));
      else waiting.push(fileURLToPath(import.meta.resolve(name)));
    }
  }
  return { files, builtins };
}

const { files, builtins } = reached(join(root, "src/browser.ts"));

test("the entry for browsers reaches no module of Node, not through packages either", () => {
  expect(builtins).toEqual([]);
  const names = [...files].map((file) => relative(root, file));
  expect(names).toContain("src/models/decoder.ts");
  expect(names.some((name) => name.startsWith("node_modules/zod/"))).toBe(true);
  expect(reached(join(root, "src/text/load-tokenizer.ts")).builtins).toContain("src/files/json-file.ts: node:path");
  expect(reached(join(root, "src/data/csv.ts")).builtins).toContainEqual(
    expect.stringMatching(/^node_modules\/csv-parse/),
  );
});

test("nor one of Node's own globals", () => {
  const own = [...files].filter((file) => file.startsWith(join(root, "src")));
  const uses = own.filter((file) =>
    /\b(?:process\.|Buffer\.|setImmediate\(|__dirname)/.test(readFileSync(file, "utf8")),
  );
  expect(uses).toEqual([]);
});

const folder = mkdtempSync(join(tmpdir(), "stemma-browser-"));
beforeAll(() => writeSmallModel(folder, stemma.families.gpt2));
afterAll(() => rmSync(folder, { recursive: true }));

test("a model read from bytes and texts writes what the same model read from its folder writes", async () => {
  const text = (name: string): string => readFileSync(join(folder, name), "utf8");
  const bytes = new Uint8Array(readFileSync(join(folder, "model.safetensors")));
  const tensors = await stemma.readSafetensors(stemma.memorySource(bytes, "model.safetensors"));
  const config = JSON.parse(text("config.json")) as stemma.JsonObject;
  const { model } = await stemma.readModel({ path: "a model", config, tensors }, stemma.openReference());
  const texts = stemma.memoryTexts({
    "tokenizer.json": text("tokenizer.json"),
    "tokenizer_config.json": text("tokenizer_config.json"),
    "chat_template.jinja": text("chat_template.jinja"),
  });
  const tokenizer = (await stemma.readTokenizer(texts))!;
  const encoder = new stemma.ChatEncoder(tokenizer, await stemma.readChatTemplate(texts));
  const same = await openAssistant(folder, stemma.openReference());
  expect(encoder.template?.source).toBe(same.encoder.template?.source);
  const write = async (own: stemma.LanguageModel, its: stemma.Tokenizer): Promise<string> => {
    let written = "";
    const options = { sampling: stemma.SamplingSettings.parse({}), maxNewTokens: 8, seed: 3 };
    for await (const piece of stemma.generateText(own, its, [its.encode("the earth")], options)) written += piece.text;
    return written;
  };
  const written = await write(model, tokenizer);
  expect(written).not.toBe("");
  expect(written).toBe(await write(same.model, same.encoder.tokenizer));
});

test("what a page does not have is named as the page names it", async () => {
  expect(await stemma.readTokenizer(stemma.memoryTexts({}))).toBeNull();
  await expect(stemma.readTokenizer(stemma.memoryTexts({ "vocab.json": "{}" }))).rejects.toThrow(
    "merges.txt: is missing; vocab.json needs it",
  );
  await expect(stemma.readTokenizer(stemma.memoryTexts({ "tokenizer.json": "[]" }))).rejects.toThrow(
    "tokenizer.json: holds an array, a JSON object is expected",
  );
});

test("all that a browser has, the package's main entry has, too", async () => {
  const main: Record<string, unknown> = await import("../src/index.ts");
  const missing = Object.entries(stemma).filter(([name, value]) => main[name] !== value);
  expect(missing.map(([name]) => name)).toEqual([]);
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { askLlamaCpp } from "./llama-cpp.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-llama-cpp-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A package that does what node-llama-cpp may do. */
function standIn(name: string, loadModel: string): string {
  const path = join(root, `${name}.mjs`);
  writeFileSync(path, `export async function getLlama() { return { async loadModel() { ${loadModel} } }; }`);
  return pathToFileURL(path).href;
}

const question = { model: "x.gguf", text: "In the", count: 2, timeLimitMs: 60_000 };

test("the answer is what the other program says", async () => {
  const model = `return {
    trainContextSize: 8, tokenize: (text) => [text.length],
    async createContext() { return { getSequence: () => ({ async *evaluateWithMetadata() {
      yield { token: 1, probabilities: new Map([[1, 0.75], [0, 0.25]]) };
      yield { token: 0, probabilities: new Map([[1, 0.5], [0, 0.5]]) };
      yield { token: 9, probabilities: new Map() };
    } }) }; } };`;
  expect(await askLlamaCpp(question, standIn("answers", model))).toEqual({
    ...{ ids: [6], probabilities: [0.25, 0.75], continuation: [1, 0] },
  });
});

test("a program that hangs is ended", async () => {
  const hanging = askLlamaCpp({ ...question, timeLimitMs: 300 }, standIn("hangs", "for (;;);"));
  await expect(hanging).rejects.toThrow(CheckpointError);
  await expect(hanging).rejects.toThrow("x.gguf: llama.cpp did not answer within 0.3 s");
});

test("what it says against a file is passed on", async () => {
  const refused = askLlamaCpp(question, standIn("refuses", 'throw new Error("unknown architecture");'));
  await expect(refused).rejects.toThrow(/^x\.gguf: llama\.cpp does not open it: .*unknown architecture/);
});

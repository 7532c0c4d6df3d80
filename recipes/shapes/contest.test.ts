import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compete } from "./contest.ts";
import { contestants } from "./contestants.ts";

test("a contestant gets its operations, and its time is that of its steps", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stemma-contest-"));
  const text = join(folder, "text.txt");
  writeFileSync(text, Array.from({ length: 4000 }, (_, i) => `line ${i} of ${(i * 7919) % 4000}\n`).join(""));
  const tiny = {
    ...contestants.gpt2,
    settings: { model: "gpt2", layers: 1, heads: 1, width: 16, tokenizer: "bpe-300" },
  };
  const terms = { data: [text], validation: [text], output: join(folder, "run"), seed: 1, threads: 1 };
  const start = performance.now();
  const trained = await compete(tiny, { ...terms, matmulPrecision: "float32" }, 3e9);
  const elapsed = (performance.now() - start) / 1000;
  expect(trained.steps).toBeGreaterThan(1);
  expect(trained.tokens).toBe(trained.steps * 16 * 128);
  expect(trained.operations / 3e9).toBeGreaterThan(0.7);
  expect(trained.operations / 3e9).toBeLessThan(1.3);
  expect(trained.seconds).toBeGreaterThan(0);
  expect(trained.seconds).toBeLessThan(elapsed);
  expect(trained.curve.at(-1)?.tokens).toBe(trained.tokens);
  const again = await compete(tiny, { ...terms, seed: 2, matmulPrecision: "float32" }, 1e9);
  expect(again.steps).toBeLessThan(trained.steps);
  rmSync(folder, { recursive: true });
}, 60_000);

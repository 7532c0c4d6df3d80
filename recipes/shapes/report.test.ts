import { expect, test } from "vitest";
import type { ContestantName } from "./contestants.ts";
import { contestants } from "./contestants.ts";
import type { Result } from "./report.ts";
import { findings, reportPage } from "./report.ts";

const names = Object.keys(contestants) as ContestantName[];

function result(name: ContestantName, bitsPerCharacter: number | null, ofTen = 0.5): Result {
  const moment = { tokens: 1e6, seconds: 10, operations: 1e12, loss: bitsPerCharacter ?? 3 };
  return {
    ...{ ...moment, name, folder: "", steps: 10, parameters: 3e6, parametersAtWork: 2e6, bitsPerCharacter },
    curve: [{ ...moment, tokens: 5e5, loss: moment.loss + 1 }, moment],
    gaps: { ofTen, ofAll: 0.1 },
    sample: { given: "a <extra_id_0>", made: "b & c" },
    map: { title: "layer 1", rows: ["a", "b"], columns: ["a", "b"], values: [1, 0, 0.5, 0.5] },
  };
}

test("the page has every shape, stands alone, and shows text as text", () => {
  const results = names.map((name) => result(name, contestants[name].kind === "decoder" ? 1.5 : null));
  const page = reportPage({ seed: 7, machine: "a machine", matmulPrecision: "float32", gaps: 100, results });
  for (const name of names) expect(page).toContain(contestants[name].title);
  expect(page).not.toMatch(/https?:|<script|NaN|undefined/);
  expect(page).toContain("a &lt;extra_id_0&gt;");
  const masks = names.reduce((sum, name) => sum + contestants[name].masks.length, 0);
  const charts = 4; // two of those that predict the next token, one each of the others
  expect(page.match(/<figure>/g)).toHaveLength(masks + names.length + charts);
  expect(page.match(/Seed 7\./g)?.length).toBeGreaterThan(names.length);
});

test("findings say also what does not hold", () => {
  const lines = findings([result("lstm", 1.4), result("gpt2", 1.5), result("moe", 1.4, 0.9), result("llama", 1.45)]);
  expect(lines[0]).toMatch(/beats the LSTM: <b>does not hold<\/b> at this scale \(GPT-2 1.500, LSTM 1.400/);
  expect(lines.find((line) => line.startsWith("Experts"))).toMatch(/<b>holds<\/b>/);
  expect(lines.at(-1)).toContain("Mixture of experts (90 % of the gaps)");
});

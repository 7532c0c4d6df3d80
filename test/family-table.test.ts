import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AnyFamily } from "../src/models/family.ts";
import { bertLayout } from "../src/models/gguf/bert-layout.ts";
import { ggufLayouts } from "../src/models/gguf/layout.ts";
import { families, otherFamilies } from "../src/models/index.ts";

const guide = readFileSync(join(import.meta.dirname, "../docs/formats.md"), "utf8");

/** A row for each family: what `--model` and config.json call it, what it is, and llama.cpp's architecture. */
function familyTable(): string[] {
  const all: [string, AnyFamily][] = [...Object.entries(families), ...Object.entries(otherFamilies)];
  const rows = all.map(([name, { modelType, summary }]) => {
    const layouts = ggufLayouts.filter((layout) => layout.modelType === modelType);
    const both = layouts.map(({ architecture }) => `\`${architecture}\``);
    const out = bertLayout.modelType === modelType ? [`\`${bertLayout.architecture}\` (out, for embeddings)`] : [];
    const architectures = [...new Set([...both, ...out])].join(", ");
    return `| \`${name}\` | \`${modelType}\` | ${summary} | ${architectures || "–"} |`;
  });
  return [
    "| `--model` of `pretrain` | `model_type` | what it is | as GGUF, out and in |",
    "|---|---|---|---|",
    ...rows,
  ];
}

test("the guide's table of families is what the code says; where it is not, the expected lines belong there", () => {
  const lines = guide.split("\n");
  const start = lines.findIndex((line) => line.startsWith("| `--model` of `pretrain`"));
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  expect(lines.slice(start, end)).toEqual(familyTable());
});

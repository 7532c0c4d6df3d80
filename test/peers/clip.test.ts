import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { embedDescriptions, embedPictures, openPictureText } from "../../src/generate/picture-text.ts";
import type { Picture } from "../../src/images/picture.ts";
import { writePng } from "../../src/images/png-writer.ts";
import { clip } from "../../src/stages/clip.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import { expectClose } from "../closeness.ts";
import { peersHint, pythonPeers, startPython } from "./python-peers.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-clip-peers-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const size = 8;
const pictures = [1, 2, 3].map((factor): Picture => {
  const bytes = Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * i * factor + 40 * factor) % 256);
  return { width: size, height: size, channels: 3, bytes };
});
const texts = ["a red apple", "two blue pears", "snow"];

describe.skipIf(pythonPeers === null)(`transformers${peersHint}`, () => {
  let python: PeerProcess;
  beforeAll(() => {
    python = startPython("transformers_folders.py");
  });
  afterAll(() => python.close());

  test("opens what stemma clip writes, and gives pictures and texts the same vectors", {
    timeout: 120_000,
  }, async () => {
    mkdirSync(at("pictures"));
    const rows = pictures.map((picture, i) => {
      writeFileSync(at(`pictures/${i}.png`), writePng(picture));
      return `${JSON.stringify({ file_name: `${i}.png`, text: texts[i] })}\n`;
    });
    writeFileSync(at("pictures/metadata.jsonl"), rows.join(""));
    const settings = {
      ...{ data: [at("pictures")], validationShare: 0, output: at("run"), threads: 1, batchSize: 3, steps: 3 },
      ...{
        imageSize: size,
        patchSize: 4,
        width: 8,
        layers: 1,
        heads: 2,
        textLayers: 1,
        context: 16,
        vocabularySize: 80,
      },
    };
    await runStage(clip, clip.settings.parse(settings), {});
    const folder = at("run/final");
    const opened = await openPictureText(folder, openReference());
    const { mean, deviation } = opened.normalization;
    const ids = await python.ask<{ ids: number[][] }>({ op: "tokenize", folder, texts });
    const longest = Math.max(...ids.ids.map(({ length }) => length));
    const inputs = {
      // Behind a text its padding, which the library does not look at: it takes the first end of the text.
      input_ids: ids.ids.map((own) => [...own, ...new Array<number>(longest - own.length).fill(0)]),
      pixel_values: pictures.map(({ bytes }) =>
        [0, 1, 2].map((c) =>
          Array.from({ length: size }, (_, y) =>
            Array.from({ length: size }, (_x, x) => {
              const value = (bytes[3 * (y * size + x) + c] ?? 0) / 255;
              return (value - (mean[c] ?? 0)) / (deviation[c] ?? 1);
            }),
          ),
        ),
      ),
    };
    const theirs = await python.ask<Record<"image_embeds" | "text_embeds", number[]> & { complaints: string[] }>({
      ...{ op: "open", class: "CLIPModel", folder, inputs },
    });
    expect(theirs.complaints).toEqual([]);
    const tolerance = { absolute: 1e-4, relative: 1e-4 };
    expectClose(
      (await embedPictures(opened, pictures)).flatMap((vector) => [...vector]),
      theirs.image_embeds,
      tolerance,
    );
    expectClose(
      (await embedDescriptions(opened, texts)).flatMap((vector) => [...vector]),
      theirs.text_embeds,
      tolerance,
    );
  });
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { embedDescriptions, embedPictures, openPictureText } from "../generate/picture-text.ts";
import { filledPicture } from "../images/picture.ts";
import { writePng } from "../images/png-writer.ts";
import { clip } from "./clip.ts";
import { runStage } from "./run-stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-clip-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const colours = { red: [220, 20, 20], green: [20, 200, 40], blue: [30, 30, 220], yellow: [230, 220, 30] } as const;

beforeAll(() => {
  mkdirSync(at("pictures"));
  const rows = Object.entries(colours).flatMap(([name, colour]) =>
    [0, 1, 2].map((shade) => {
      const file = `${name}-${shade}.png`;
      const picture = filledPicture(
        8,
        8,
        colour.map((value) => value - 10 * shade),
      );
      writeFileSync(join(at("pictures"), file), writePng(picture));
      return {
        file_name: file,
        text: `a ${name} square`,
        tags: [name],
        category: name === "yellow" ? "light" : "dark",
      };
    }),
  );
  writeFileSync(join(at("pictures"), "metadata.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

async function run(output: string, given: object): Promise<string> {
  const notes: string[] = [];
  const settings = {
    ...{ data: [at("pictures")], validation: [at("pictures")], output: at(output), threads: 1, batchSize: 4 },
    ...{ imageSize: 8, patchSize: 4, width: 8, layers: 1, heads: 2, learningRate: 3e-2, steps: 25, warmupSteps: 2 },
    ...{ augment: 0.3, vocabularySize: 100, context: 16, weightDecay: 0, ...given },
  };
  await runStage(clip, clip.settings.parse(settings), { note: (line) => notes.push(line) });
  return notes.join("\n");
}

const report = (output: string): Record<string, Record<string, number>> =>
  JSON.parse(readFileSync(at(`${output}/report.json`), "utf8"));

test.each([
  ["words", {}],
  ["transformer", { textLayers: 1, steps: 60, learningRate: 1e-2 }],
  ["siglip", { loss: "siglip", steps: 60 }],
])("%s: pictures find their texts, and the folder that is left finds the same", async (name, given) => {
  const notes = await run(name, given);
  const { reached, nearestByPixels } = report(name);
  expect(reached).toEqual({ "r@1": 1, "r@5": 1, category: 1 });
  expect(nearestByPixels).toEqual({ "r@1": 1, "r@5": 1, category: 1 });
  expect(notes).toContain("12 pictures of 4 texts to learn from, 12 held out");
  const opened = await openPictureText(at(`${name}/final`), openReference());
  const texts = await embedDescriptions(opened, ["a red square", "a blue square"]);
  const [vector = new Float32Array(0)] = await embedPictures(opened, [filledPicture(8, 8, [215, 25, 15])]);
  const [red = 0, blue = 0] = texts.map((text) => text.reduce((sum, value, i) => sum + value * (vector[i] ?? 0), 0));
  expect(red).toBeGreaterThan(blue);
});

test("a run that was stopped goes on bit for bit, and one that computes blocks twice has the same bits", async () => {
  await run("whole", { steps: 4, saveEvery: 2, saveTotalLimit: 0 });
  await run("stopped", { steps: 4, saveEvery: 2, saveTotalLimit: 0 });
  rmSync(at("stopped/final"), { recursive: true });
  rmSync(at("stopped/checkpoint-4"), { recursive: true });
  await run("stopped", { steps: 4, saveEvery: 2, saveTotalLimit: 0, resume: true });
  const weights = (name: string): Buffer => readFileSync(at(`${name}/final/model.safetensors`));
  expect(weights("stopped").equals(weights("whole"))).toBe(true);
  await run("recomputed", { steps: 4, recompute: true });
  expect(weights("recomputed").equals(weights("whole"))).toBe(true);
});

test("a row whose picture is not there, or is none, is named or left out", async () => {
  writeFileSync(at("pictures/text.png"), "no picture");
  const rows = ["red-0.png", "blue-0.png", "text.png", "nowhere.png"].map((file_name) => ({
    file_name,
    text: file_name,
  }));
  writeFileSync(at("pictures/some.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const data = { data: [at("pictures/some.jsonl")], validation: [], validationShare: 0, steps: 1 };
  await expect(run("some", data)).rejects.toThrow(`some.jsonl, line 3: ${at("pictures/text.png")}: cannot be read (`);
  const notes = await run("some", { ...data, badRows: "skip" });
  expect(notes).toMatch(/left out 2 bad rows:\n.*line 3: .*\n.*line 4: .*nowhere\.png: cannot read/);
  expect(notes).toContain("2 pictures of 2 texts to learn from, none held out");
});

test("settings and data that do not fit are named", async () => {
  await expect(run("bad", { patchSize: 3 })).rejects.toThrow("patch-size: 3 does not divide an image size of 8");
  await expect(run("bad", { heads: 3 })).rejects.toThrow("heads: 3 do not divide a width of 8");
  await expect(run("bad", { model: at("words/final"), loss: "siglip" })).rejects.toThrow(
    `loss: ${at("words/final")} was trained with infonce, not with siglip; choose --loss infonce`,
  );
  const row = JSON.stringify({ file_name: "red-0.png", text: "the same" });
  writeFileSync(at("pictures/one.jsonl"), `${row}\n`);
  await expect(run("bad", { data: [at("pictures/one.jsonl")] })).rejects.toThrow(
    "data: 1 picture of one text; there has",
  );
});

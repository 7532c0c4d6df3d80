import { basename, join } from "node:path";
import { openMachine } from "../backend/machine-settings.ts";
import { counted } from "../core/counted.ts";
import { DataError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { contrastiveBatches, drawText, textCount } from "../data/described-pictures.ts";
import type { HeldOut } from "../data/hold-out.ts";
import type { DescribedPictures } from "../data/load-pictures.ts";
import { loadPictures } from "../data/load-pictures.ts";
import type { PictureRow } from "../data/picture-rows.ts";
import { readPictureRows } from "../data/picture-rows.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { PictureTextModel } from "../generate/picture-text.ts";
import { patchTensor, pictureTextContents, pictureTextIds, textVectors } from "../generate/picture-text.ts";
import type { Augmentation } from "../images/augment.ts";
import { augment } from "../images/augment.ts";
import type { Picture } from "../images/picture.ts";
import { clipFamilyOf } from "../models/clip-family.ts";
import { loadTensors } from "../models/read-model.ts";
import { trainedParameters } from "../nn/parameters.ts";
import { epochSteps } from "../train/epoch-batches.ts";
import { clipLoss, siglipLoss } from "../train/objectives/contrastive.ts";
import type { MicroBatch } from "../train/run.ts";
import { evaluate, measure, measureBaseline, saying } from "./clip-evaluation.ts";
import { checkClipSizes, newClip, openStartedClip } from "./clip-model.ts";
import { ClipStageSettings } from "./clip-settings.ts";
import { readHeldOut } from "./held-out.ts";
import { readNotingBad } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/** Pictures that are shown, and texts: as many, and more. */
interface ContrastiveBatch {
  readonly values: readonly Float32Array[];
  readonly texts: readonly Int32Array[];
}

/**
 * Contrastive training of an encoder of pictures and one of texts: what belongs together is to be near.
 *
 * @see Radford et al. (2021), arXiv:2103.00020; Zhai et al. (2023), arXiv:2303.15343.
 */
export const clip = defineStage({
  name: "clip",
  summary: "teach pictures and texts one space, in which they find each other",
  settings: ClipStageSettings,
  beginning: ["model", "imageSize", "patchSize", "width", "layers", "heads", "textLayers", "vocabularySize", "context"],
  examples: [
    "stemma clip --data photos --output runs/photos",
    "stemma clip --data data/emoji-train --validation data/emoji-test --output runs/emoji",
  ],
  async prepare(settings, environment) {
    const backend = await openMachine(settings, environment);
    const { signal, note, folder } = environment;
    const parts = await readParts(settings, environment);
    const started = await openStartedClip(settings, environment, backend);
    if (!started) checkClipSizes(settings);
    const imageSize = started?.model.settings.vision.imageSize ?? settings.imageSize;
    const training = await load(parts.training, imageSize, settings, environment);
    const heldOut = await load(parts.heldOut, imageSize, settings, environment);
    const opened = started ?? newClip(settings, training.rows, training.pictures, backend);
    const count = textCount(training.rows);
    refuseOneText(count, training.rows.length);
    note(`${training.rows.length} pictures of ${count} texts to learn from, ${heldOut.rows.length || "none"} held out`);
    const baseline = folder.checkpoint ? null : await measureBaseline(backend, training, heldOut);
    if (baseline) note(`the nearest picture by pixels would name those held out so: ${saying(baseline)}`);
    const batchSize = Math.min(settings.batchSize, count);
    const steps = epochSteps(count, { ...settings, batchSize });
    const { model } = opened;
    return trainStage(
      {
        model,
        parameters: trainedParameters(model),
        objective: (own, batch: ContrastiveBatch) => {
          const pictures = own.pictures(patchTensor(opened, batch.values), settings);
          const texts = textVectors(opened, batch.texts, settings);
          return own.logitBias
            ? siglipLoss(pictures, texts, own.logitScale, own.logitBias)
            : clipLoss(pictures, texts, own.logitScale);
        },
        batches: batchesOf(opened, training, settings),
        evaluate: () => measure(opened, heldOut, signal),
        sample: async () => {},
        contents: () => pictureTextContents(opened),
        best: {
          isEvaluated: heldOut.rows.length > 0,
          metric: { name: "eval_r@1", isHigherBetter: true },
          restore: (source) => loadTensors(clipFamilyOf(model.settings), model, source),
        },
        async finish() {
          if (heldOut.rows.length === 0) return;
          const reached = await evaluate(opened, heldOut);
          note(`held out: ${saying(reached)}`);
          const report = { pictures: heldOut.rows.length, reached, ...(baseline && { nearestByPixels: baseline }) };
          await writeFileAtomic(join(folder.path, "report.json"), `${JSON.stringify(report, null, 2)}\n`);
        },
      },
      { ...settings, steps },
      environment,
    );
  },
});

async function readParts(
  settings: ClipStageSettings,
  { note, signal }: StageEnvironment,
): Promise<HeldOut<PictureRow>> {
  const read = (paths: readonly string[]): Promise<PictureRow[]> =>
    readNotingBad(settings, { note, signal }, (bad) => readPictureRows(paths, bad));
  // Wherever the folder lies, the same ones are held out.
  return readHeldOut(settings, read, ({ picture }) => basename(picture));
}

async function load(
  rows: readonly PictureRow[],
  size: number,
  settings: ClipStageSettings,
  { note, signal }: StageEnvironment,
): Promise<DescribedPictures> {
  if (rows.length === 0) return { rows, pictures: [] };
  return readNotingBad(settings, { note, signal }, (bad) => loadPictures(rows, size, bad, signal));
}

/** @throws {DataError} when there is nothing to tell a text from. */
function refuseOneText(count: number, pictures: number): void {
  if (count > 1) return;
  throw new DataError(`data: ${counted(pictures, "picture")} of one text; there has to be another to tell it from`);
}

/** What {@link ClipStageSettings}' `augment` multiplies. */
function augmentation({ augment: strength, mirror }: ClipStageSettings): Augmentation {
  return {
    scale: [Math.max(0.3, 1 - 0.2 * strength), 1 + 0.15 * strength],
    rotation: 14 * strength,
    shift: 0.1 * strength,
    contrast: Math.min(0.9, 0.2 * strength),
    mirror: mirror ? 0.5 : 0,
  };
}

/** Micro-batches of a step: what is shown, how, and with which words follows from seed, step and row alone. */
function batchesOf(
  opened: PictureTextModel,
  { rows, pictures }: DescribedPictures,
  settings: ClipStageSettings,
): (step: number) => MicroBatch<ContrastiveBatch>[] {
  const { accumulation, seed } = settings;
  const choose = contrastiveBatches(rows, settings);
  const how = augmentation(settings);
  const { imageSize } = opened.model.settings.vision;
  const random = new Random(seed).child(1);
  return (step) =>
    Array.from({ length: accumulation }, (_, micro) => {
      const index = step * accumulation + micro;
      const { shown, textsOnly } = choose(index);
      const own = random.child(index);
      const values = shown.map((row) => augment(pictures[row] as Picture, imageSize, how, own.child(row).reader()));
      const texts = [...shown, ...textsOnly].map((row) => {
        const reader = own.child(rows.length + row).reader();
        return pictureTextIds(opened, drawText(rows[row] as PictureRow, reader));
      });
      return { batch: { values, texts }, share: 1 / accumulation, tokens: shown.length };
    });
}

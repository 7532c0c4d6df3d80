import type { Backend } from "../backend/kernels.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { PictureRow } from "../data/picture-rows.ts";
import type { Normalization, PictureTextModel } from "../generate/picture-text.ts";
import { openPictureText } from "../generate/picture-text.ts";
import type { Picture } from "../images/picture.ts";
import { Clip } from "../models/clip.ts";
import { Initializer } from "../nn/parameters.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { WordPieceTrainer } from "../text/word-piece-trainer.ts";
import type { ClipStageSettings } from "./clip-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/**
 * The model of a checkpoint or a folder; null where a new one is asked for.
 *
 * @throws {SettingsError} when it was trained with the other loss.
 */
export async function openStartedClip(
  { model, loss }: ClipStageSettings,
  { folder }: StageEnvironment,
  backend: Backend,
): Promise<PictureTextModel | null> {
  const start = folder.checkpoint?.path ?? model;
  if (start === null) return null;
  const opened = await openPictureText(start, backend);
  if ((opened.model.logitBias !== null) === (loss === "siglip")) return opened;
  const own = loss === "siglip" ? "infonce" : "siglip";
  throw new SettingsError(`loss: ${start} was trained with ${own}, not with ${loss}; choose --loss ${own}`);
}

/**
 * Makes sure that sizes of a new model fit each other.
 *
 * @throws {SettingsError} when they do not.
 */
export function checkClipSizes({ width, heads, imageSize, patchSize }: ClipStageSettings): void {
  if (imageSize % patchSize !== 0) {
    throw new SettingsError(`patch-size: ${patchSize} does not divide an image size of ${imageSize}; choose a divisor`);
  }
  if (width % heads !== 0) {
    throw new SettingsError(`heads: ${heads} do not divide a width of ${width}; choose a divisor`);
  }
}

/** A new model: its tokenizer learns the texts, its colours are scaled as those of the pictures are. */
export function newClip(
  settings: ClipStageSettings,
  rows: readonly PictureRow[],
  pictures: readonly Picture[],
  backend: Backend,
): PictureTextModel {
  const { width, heads, imageSize, patchSize } = settings;
  const tokenizer = learnedTokenizer(rows, settings.vocabularySize);
  const tower = { width, heads, hidden: 4 * width, activation: "geluTanh", normEpsilon: 1e-5 } as const;
  const pooling = settings.textLayers === 0 ? "mean" : "last";
  const model = new Clip(
    {
      vision: { ...tower, layers: settings.layers, imageSize, patchSize },
      text: {
        ...{ ...tower, layers: settings.textLayers, pooling, context: settings.context },
        vocabularySize: tokenizer.vocabularySize,
      },
      projection: width,
      hasBias: settings.loss === "siglip",
    },
    new Initializer(backend, new Random(settings.seed)),
  );
  return { model, tokenizer, normalization: normalizationOf(pictures) };
}

function learnedTokenizer(rows: readonly PictureRow[], vocabularySize: number): Tokenizer {
  const trainer = new WordPieceTrainer({ vocabularySize });
  const texts = new Set(rows.flatMap(({ text, texts: others, tags }) => [text, ...others, ...tags]));
  for (const text of texts) trainer.add(`${text}\n`);
  return trainer.train();
}

/** Smallest deviation: pictures of one colour have none. */
const smallestDeviation = 0.01;

/** Mean and standard deviation of the colours of pictures, three numbers each, from 0 to 1. */
function normalizationOf(pictures: readonly Picture[]): Normalization {
  const [sums, squares] = [new Float64Array(3), new Float64Array(3)];
  let count = 0;
  for (const { bytes } of pictures) {
    for (let i = 0; i < bytes.length; i++) {
      const value = (bytes[i] ?? 0) / 255;
      sums[i % 3] = (sums[i % 3] ?? 0) + value;
      squares[i % 3] = (squares[i % 3] ?? 0) + value * value;
    }
    count += bytes.length / 3;
  }
  const mean = [...sums].map((sum) => sum / count);
  const variances = [...squares].map((sum, c) => sum / count - (mean[c] ?? 0) ** 2);
  return {
    mean,
    deviation: variances.map((variance) => Math.max(smallestDeviation, Math.sqrt(Math.max(0, variance)))),
  };
}

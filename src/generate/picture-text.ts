import { join } from "node:path";
import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { CheckpointError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { paddedBatch } from "../data/padded-batch.ts";
import type { JsonObject } from "../files/json.ts";
import { readJsonIfThere } from "../files/json-file.ts";
import { writePatches } from "../images/patches.ts";
import type { Picture } from "../images/picture.ts";
import { writeUnitValues } from "../images/picture-tensor.ts";
import type { Clip } from "../models/clip.ts";
import { clip, clipFamilyOf, ownClip } from "../models/clip-family.ts";
import { openModel } from "../models/load.ts";
import { readModelOf, storedTensors } from "../models/read-model.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { bounded, boundsOf } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";
import { loadTokenizerFor } from "./assistant.ts";

/** How the colours of pictures are scaled for a model: (value − mean) / deviation, values from 0 to 1. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** A model of pictures and texts with what it takes to read both. */
export interface PictureTextModel {
  readonly model: Clip;
  readonly tokenizer: Tokenizer;
  readonly normalization: Normalization;
}

/** Of the pictures that CLIP was trained with. */
const clipNormalization: Normalization = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  deviation: [0.26862954, 0.26130258, 0.27577711],
};

const three = z.array(z.number()).length(3);
const Preprocessor = z.object({
  image_mean: three.default([...clipNormalization.mean]),
  image_std: three.default([...clipNormalization.deviation]),
});
const preprocessorFile = "preprocessor_config.json";

/**
 * Opens a folder of CLIP, anyone's or ours.
 *
 * @throws {CheckpointError} when a part is missing or damaged, or it is a model of another kind.
 */
export async function openPictureText(path: string, backend: Backend): Promise<PictureTextModel> {
  const folder = await openModel(path);
  try {
    const family = folder.config.model_type === ownClip.modelType ? ownClip : clip;
    const model = await readModelOf(family, folder, backend);
    const tokenizer = await loadTokenizerFor({ settings: model.settings.text, backend }, folder.path);
    const stored = Preprocessor.safeParse((await readJsonIfThere(join(folder.path, preprocessorFile))) ?? {});
    if (!stored.success) {
      throw new CheckpointError(
        `${join(folder.path, preprocessorFile)}: image_mean and image_std must be three numbers each; fetch it again`,
      );
    }
    const normalization = { mean: stored.data.image_mean, deviation: stored.data.image_std };
    return { model, tokenizer, normalization };
  } finally {
    await folder.close();
  }
}

/** What the folder of such a model is made from; `transformers` opens that of CLIP. */
export function pictureTextContents({ model, tokenizer, normalization }: PictureTextModel): ModelContents {
  const family = clipFamilyOf(model.settings);
  const { before, behind } = boundsOf(tokenizer);
  const ids = { beginOfText: before[0] ?? null, endOfText: behind.at(-1) ?? tokenizer.endOfText };
  return {
    config: family.writeConfig(model.settings, ids) as JsonObject,
    tensors: storedTensors(family, model),
    extraFiles: { ...tokenizerFiles(tokenizer), [preprocessorFile]: preprocessor(model, normalization) },
  };
}

function preprocessor({ settings }: Clip, { mean, deviation }: Normalization): string {
  const { imageSize } = settings.vision;
  const contents = {
    crop_size: { height: imageSize, width: imageSize },
    do_center_crop: true,
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: mean,
    image_processor_type: "CLIPImageProcessor",
    image_std: deviation,
    resample: 3,
    rescale_factor: 1 / 255,
    size: { shortest_edge: imageSize },
  };
  return `${JSON.stringify(contents, null, 2)}\n`;
}

/** Ids of a text as a model of pictures and texts reads it, cut to what fits: at least one. */
export function pictureTextIds({ model, tokenizer }: PictureTextModel, text: string): Int32Array {
  const { context, pooling } = model.settings.text;
  const ids = tokenizer.encode(text, { recognizeSpecialTokens: false });
  // Of words that are averaged, those that are in every text say nothing.
  if (pooling === "mean" && ids.length > 0) return ids.subarray(0, context);
  const { before, behind } = boundsOf(tokenizer);
  return bounded(tokenizer, ids.subarray(0, Math.max(0, context - before.length - behind.length)));
}

/**
 * Pictures' values as patches, `[pictures, patches, 3 · patchSize²]`.
 *
 * @param values - Of each picture `[imageSize, imageSize, 3]`, −1 … 1.
 */
export function patchTensor(
  { model, normalization: { mean, deviation } }: PictureTextModel,
  values: readonly Float32Array[],
): Tensor {
  const { imageSize, patchSize } = model.settings.vision;
  const size = 3 * imageSize ** 2;
  const scaled = new Float32Array(size);
  const patches = new Float32Array(values.length * size);
  for (const [i, picture] of values.entries()) {
    for (let at = 0; at < size; at++) {
      const unit = ((picture[at] ?? 0) + 1) / 2;
      scaled[at] = (unit - (mean[at % 3] ?? 0)) / (deviation[at % 3] ?? 1);
    }
    writePatches(scaled, imageSize, patchSize, patches, i * size);
  }
  return Tensor.from(model.backend, patches, [values.length, (imageSize / patchSize) ** 2, 3 * patchSize ** 2]);
}

/** Texts that are encoded → vectors of length 1, `[texts, projection]`. */
export function textVectors(
  { model }: PictureTextModel,
  texts: readonly Int32Array[],
  options: Parameters<Clip["texts"]>[2] = {},
): Tensor {
  const { ids, batch, time, lengths } = paddedBatch(texts);
  return model.texts(Tensor.from(model.backend, ids, [batch, time]), lengths, options);
}

/** How many go through the model at once. */
const batchSize = 128;

/**
 * Vectors of pictures, in their order.
 *
 * @param pictures - Each `imageSize` wide and high, without alpha.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export function embedPictures(
  opened: PictureTextModel,
  pictures: readonly Picture[],
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  return inBatches(pictures, signal, (some) => {
    const values = some.map(({ bytes }) => {
      const own = new Float32Array(bytes.length);
      writeUnitValues(bytes, own, 0);
      return own;
    });
    return opened.model.pictures(patchTensor(opened, values));
  });
}

/**
 * Vectors of texts, in their order.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export function embedDescriptions(
  opened: PictureTextModel,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const ids = texts.map((text) => pictureTextIds(opened, text));
  return inBatches(ids, signal, (some) => textVectors(opened, some));
}

async function inBatches<Item>(
  items: readonly Item[],
  signal: AbortSignal | undefined,
  vectorsOf: (some: readonly Item[]) => Tensor,
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let first = 0; first < items.length; first += batchSize) {
    await turnEventLoopWhenDue();
    signal?.throwIfAborted();
    const some = items.slice(first, first + batchSize);
    const result = withoutGradients(() => tensorScope(() => vectorsOf(some)));
    const values = await result.floats();
    const width = result.axis(1);
    result.release();
    for (const i of some.keys()) vectors.push(values.slice(i * width, (i + 1) * width));
  }
  return vectors;
}

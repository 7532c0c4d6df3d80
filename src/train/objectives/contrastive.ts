import { Tensor } from "../../tensor/tensor.ts";
import { classificationLoss } from "./classification.ts";

/** Largest logarithm of what multiplies the cosines: a factor of 100, as in CLIP. */
const largestLogScale = Math.log(100);

/**
 * CLIP's loss: each picture is to find its text among all, each of these texts its picture:
 * L = ½ (CE(s · P · Tᵀ, i) + CE(s · T · Pᵀ, i)), s = exp(min(log s, log 100)).
 *
 * Shapes: pictures `[n, width]`, texts `[n + more, width]`, both of length 1, log s `[]` → scalar. Texts beyond the first
 * n belong to none of the pictures; pictures are told from them, too.
 *
 * @see Radford et al. (2021), "Learning transferable visual models from natural language supervision", figure 3,
 * arXiv:2103.00020. There are no further texts there.
 */
export function clipLoss(pictures: Tensor, texts: Tensor, logScale: Tensor): Tensor {
  const count = pictures.axis(0);
  const own = Int32Array.from({ length: count }, (_, i) => i);
  const scale = logScale.minimum(largestLogScale).exp();
  const toTexts = pictures.matmul(texts, { transposeB: true }).mul(scale);
  const toPictures = texts.slice(0, 0, count).matmul(pictures, { transposeB: true }).mul(scale);
  return classificationLoss(toTexts, own).add(classificationLoss(toPictures, own)).mul(0.5);
}

/**
 * SigLIP's loss: whether a picture and a text belong together, asked of every pair by itself:
 * L = −1/n Σᵢⱼ log σ(zᵢⱼ (s · pᵢ · tⱼ + b)), z 1 on the diagonal and −1 elsewhere, s = exp(log s).
 *
 * Shapes: as {@link clipLoss}, bias b `[]` → scalar.
 *
 * @see Zhai et al. (2023), "Sigmoid loss for language image pre-training", algorithm 1, arXiv:2303.15343.
 */
export function siglipLoss(pictures: Tensor, texts: Tensor, logScale: Tensor, bias: Tensor): Tensor {
  const [rows, columns] = [pictures.axis(0), texts.axis(0)];
  const logits = pictures.matmul(texts, { transposeB: true }).mul(logScale.exp()).add(bias);
  const signs = Float32Array.from({ length: rows * columns }, (_, at) =>
    Math.floor(at / columns) === at % columns ? 1 : -1,
  );
  const signed = logits.mul(Tensor.from(pictures.backend, signs, [rows, columns]));
  return signed
    .map("logSigmoid")
    .sum()
    .mul(-1 / rows);
}

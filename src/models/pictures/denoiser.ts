import type { Random } from "../../core/random.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** What a picture shall show, as a text encoder gave it. */
export interface TextCondition {
  /** `[batch, tokens, width]` */
  readonly states: Tensor;
  /** Tokens of each text that there are, `[batch]`; the rest is padding that nothing looks at. Null: all are there. */
  readonly lengths: Int32Array | null;
}

/** A model that looks at noisy pictures, or latents, and says what it was trained to say of them: noise, picture or velocity. */
export interface Denoiser {
  /** Channels of what it reads; it gives as many, or twice as many where it predicts variances, too. */
  readonly channels: number;
  /** Width of the text states that it looks at; null where it looks at none. */
  readonly textWidth: number | null;
  /**
   * noisy `[batch, height, width, channels]`, times `[batch]` (float32, in steps of the schedule it was trained with) →
   * `[batch, height, width, channels]`.
   *
   * @param random - Source of dropout; null is inference.
   * @throws {ShapeError} when the sizes do not fit, or a text is missing, or not asked for.
   */
  denoise(noisy: Tensor, times: Tensor, text: TextCondition | null, random: Random | null): Tensor;
}

import type { Random } from "../../core/random.ts";
import type { TextPairs } from "../../data/span-corruption.ts";
import type { EncoderDecoder } from "../../models/encoder-decoder.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { smoothingTerm } from "./label-smoothing.ts";
import { tokenLoss } from "./next-token.ts";
import { trainedRows } from "./trained-rows.ts";

/** How {@link textToTextLoss} is computed. */
interface TextToTextOptions {
  readonly recompute?: boolean;
  /** Share of each target that is spread over all tokens; 0 is none. */
  readonly labelSmoothing?: number;
}

/**
 * One text written after reading another: L = −1/n Σᵢ log p(yᵢ | y₁ … yᵢ₋₁, x), in nats, over the n tokens of all targets
 * y. The decoder reads its targets moved right by one, from the start token on. With corrupted texts this is T5's
 * pretraining.
 *
 * @see Raffel et al. (2020), section 3.1.4, arXiv:1910.10683.
 */
export function textToTextLoss(
  model: EncoderDecoder,
  pairs: TextPairs,
  random: Random | null,
  { recompute = false, labelSmoothing = 0 }: TextToTextOptions = {},
): Tensor {
  const { batch, inputs, time, lengths, targets, targetTime } = pairs;
  const text = model.encode(Tensor.from(model.backend, inputs, [batch, time]), lengths, { random, recompute });
  const ids = Tensor.from(model.backend, decoderInputs(model, targets, targetTime), [batch, targetTime]);
  const hidden = model.decode(ids, text, { random, recompute });
  const rows = trainedRows(hidden, targets);
  const loss = tokenLoss(model, rows);
  return labelSmoothing === 0 ? loss : loss.add(smoothingTerm(model, rows, labelSmoothing));
}

/** Targets moved right; padding where there is none. */
function decoderInputs({ settings }: EncoderDecoder, targets: Int32Array, time: number): Int32Array {
  return targets.map((_, i) => {
    if (i % time === 0) return settings.decoderStart;
    const before = targets[i - 1] ?? settings.padding;
    return before < 0 ? settings.padding : before;
  });
}

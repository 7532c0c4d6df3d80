import type { Random } from "../../core/random.ts";
import type { MaskedBatch } from "../../data/masked-words.ts";
import type { BertForPretraining } from "../../models/bert.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { MeasuredLoss } from "../run.ts";
import { classificationLoss } from "./classification.ts";
import { tokenLoss } from "./next-token.ts";
import { trainedRows } from "./trained-rows.ts";

/**
 * Masked words and next sentences: L = −1/m Σᵢ log p(wᵢ | the text with its chosen words hidden) − 1/n Σⱼ log p(is B the
 * continuation of A in pair j), in nats, over m chosen words and n pairs; without pairs only the first sum.
 *
 * @see Devlin et al. (2019), section 3.1 and appendix A.2, arXiv:1810.04805.
 */
export function maskedWordsLoss(
  model: BertForPretraining,
  batch: MaskedBatch,
  random: Random | null,
  { recompute = false }: { readonly recompute?: boolean } = {},
): MeasuredLoss {
  const { inputs, segments, lengths, relationships } = batch;
  const ids = Tensor.from(model.backend, inputs, [batch.batch, batch.time]);
  const hidden = model.forward(ids, { segments, lengths, random, recompute });
  const { hidden: chosen, targets, scale } = trainedRows(hidden, batch.targets);
  const wordLoss = tokenLoss(model, { hidden: model.transformed(chosen), targets, scale });
  if (!relationships) return { loss: wordLoss, metrics: {} };
  const relationshipLoss = classificationLoss(model.relationshipLogits(hidden), relationships);
  const metrics = { masked_word_loss: wordLoss, next_sentence_loss: relationshipLoss };
  return { loss: wordLoss.add(relationshipLoss), metrics };
}

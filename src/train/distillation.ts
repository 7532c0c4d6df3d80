import type { Random } from "../core/random.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { asInTraining } from "../tensor/op.ts";
import type { DistillationOptions } from "./objectives/distillation.ts";
import { distillationLoss } from "./objectives/distillation.ts";
import type { PredictionBatch } from "./objectives/next-token.ts";
import { tokenLoss, trainedStates } from "./objectives/next-token.ts";
import type { MeasuredLoss } from "./run.ts";

/** How a student learns a batch. */
export interface DistillationObjective extends DistillationOptions {
  /** α: share of the ordinary loss on the batch's own tokens. */
  readonly dataWeight: number;
  readonly recompute: boolean;
}

/**
 * (1 − α) times the divergence of a student from its teacher, plus α times the loss of next-token prediction, over the
 * tokens that the batch wants predicted. `distillation_loss` and `next_token_loss` are the two where both count.
 *
 * @see Hinton et al. (2015), section 2, arXiv:1503.02531.
 */
export function distillationObjective(
  { student, teacher, random }: { student: LanguageModel; teacher: LanguageModel; random: Random | null },
  batch: PredictionBatch,
  { dataWeight, recompute, ...options }: DistillationObjective,
): MeasuredLoss {
  const its = asInTraining(() => trainedStates(teacher, batch, null));
  const mine = trainedStates(student, batch, random, { recompute });
  const learned = distillationLoss(
    { model: student, hidden: mine.hidden },
    { model: teacher, hidden: its.hidden },
    options,
  );
  if (dataWeight === 0) return { loss: learned, metrics: {} };
  const predicted = tokenLoss(student, mine);
  return {
    loss: learned.mul(1 - dataWeight).add(predicted.mul(dataWeight)),
    metrics: { distillation_loss: learned, next_token_loss: predicted },
  };
}

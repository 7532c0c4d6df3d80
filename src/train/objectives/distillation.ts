import type { LanguageModel } from "../../models/language-model.ts";
import { recomputed } from "../../tensor/recompute.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** How two distributions are compared. */
export type Divergence = "forward" | "reverse" | "jsd";

/** Constants of {@link divergences}. */
export interface DistillationOptions {
  readonly divergence: Divergence;
  /** `jsd`: between the forward (towards 0) and the reverse (towards 1) direction. */
  readonly beta: number;
  /** T: divides the logits of both. */
  readonly temperature: number;
}

/**
 * How far a student q is from a teacher p in each row, times T², so that gradients are as large with any temperature:
 *
 * - `forward`: KL(p ‖ q), which covers all that the teacher says;
 * - `reverse`: KL(q ‖ p), which keeps to what the teacher finds likely;
 * - `jsd`: β KL(p ‖ m) + (1 − β) KL(q ‖ m), m = βp + (1 − β)q.
 *
 * Shapes: logits `[rows, vocabulary]` each → `[rows]`, in nats. No gradient flows into the teacher.
 *
 * @see Hinton et al. (2015), section 2, arXiv:1503.02531; Gu et al. (2024), arXiv:2306.08543, for the reverse direction;
 * Agarwal et al. (2024), equation 1, arXiv:2306.13649.
 */
export function divergences(student: Tensor, teacher: Tensor, options: DistillationOptions): Tensor {
  const { divergence, beta, temperature } = options;
  const [q, p] = [student, teacher.detach()].map((logits) => logits.div(temperature).logSoftmax()) as [Tensor, Tensor];
  return kindsOf(p, q, beta)
    [divergence]()
    .mul(temperature ** 2);
}

function kindsOf(p: Tensor, q: Tensor, beta: number): Record<Divergence, () => Tensor> {
  return {
    forward: () => kl(p, q),
    reverse: () => kl(q, p),
    jsd() {
      const [a, b] = [p.add(Math.log(beta)), q.add(Math.log(1 - beta))];
      const top = a.maximum(b).detach();
      const m = a.sub(top).exp().add(b.sub(top).exp()).log().add(top);
      return kl(p, m)
        .mul(beta)
        .add(kl(q, m).mul(1 - beta));
    },
  };
}

/** Σ eᵃ (a − b) of each row. */
function kl(a: Tensor, b: Tensor): Tensor {
  return a.exp().mul(a.sub(b)).sum(-1);
}

/** Logits of one model that exist at one time, about: 4 M numbers, 16 MB, of which a divergence has a dozen. */
const chunkElements = 1 << 22;

/**
 * Mean of the {@link divergences} over hidden states, of which the logits never exist all at once: rows are taken in
 * chunks, each of which is computed once more for its gradients. Of vocabularies of different size, as where an
 * embedding is rounded up, the tokens that both have are compared.
 *
 * Shapes: hidden `[rows, width]` of each model → scalar.
 *
 * @param elements - Logits of one model that exist at one time.
 */
export function distillationLoss(
  student: { readonly model: LanguageModel; readonly hidden: Tensor },
  teacher: { readonly model: LanguageModel; readonly hidden: Tensor },
  options: DistillationOptions,
  elements = chunkElements,
): Tensor {
  const [own, other] = [student.model, teacher.model].map(({ settings }) => settings.vocabularySize) as [
    number,
    number,
  ];
  const tokens = Math.min(own, other);
  const logitsOf = (model: LanguageModel, hidden: Tensor): Tensor => {
    const logits = model.logits(hidden);
    return logits.axis(1) === tokens ? logits : logits.slice(1, 0, tokens);
  };
  const rows = student.hidden.axis(0);
  const step = Math.max(1, Math.floor(elements / Math.max(own, other)));
  let sum: Tensor | null = null;
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    const part = recomputed(
      (mine, its) => divergences(logitsOf(student.model, mine), logitsOf(teacher.model, its), options).sum(),
      student.hidden.slice(0, start, end),
      teacher.hidden.slice(0, start, end),
    );
    sum = sum ? sum.add(part) : part;
  }
  if (!sum) throw new Error("internal: there is no state to compare");
  return sum.mul(1 / rows);
}

import { NumericalError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { clipGradients } from "../optim/clip-gradients.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Metrics, Run } from "./train.ts";

/** What one update needs of a run. */
type Update<Model, Batch> = Pick<
  Run<Model, Batch>,
  "model" | "objective" | "batches" | "optimizer" | "schedule" | "maxGradientNorm" | "seed"
>;

/**
 * One update: gradients summed over the micro-batches of a step, clipped, then one optimizer step. This is the only
 * place where gradients of a step come together.
 *
 * @throws {NumericalError} when the loss or the gradient norm is not finite; the weights are as before.
 */
export async function optimizerStep<Model, Batch>(run: Update<Model, Batch>, step: number): Promise<Metrics> {
  const { optimizer } = run;
  const learningRate = run.schedule(step);
  const losses: Tensor[] = [];
  let tokens = 0;
  optimizer.clearGradients();
  for (const [index, micro] of (await run.batches(step)).entries()) {
    const random = new Random(run.seed).child(step).child(index);
    losses.push(
      tensorScope(() => {
        const loss = run.objective(run.model, micro.batch, random);
        const part = micro.share === 1 ? loss : loss.mul(micro.share);
        part.backward();
        return part.detach();
      }),
    );
    tokens += micro.tokens;
  }
  const gradients = [...optimizer.parameters().values()].flatMap(({ grad }) => grad ?? []);
  const { norm, scale } = clipGradients(gradients, run.maxGradientNorm);
  const loss = (await Promise.all(losses.map((part) => part.item()))).reduce((a, b) => a + b, 0);
  const gradientNorm = await norm.item();
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) optimizer.update(learningRate, scale);
  for (const tensor of [...losses, norm, scale]) tensor.release();
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    throw new NumericalError(
      `step ${step + 1}: loss is ${loss} and gradient norm is ${gradientNorm}; the weights were left as before this ` +
        "step; try a smaller learning rate or more warm-up steps",
    );
  }
  return { loss, grad_norm: gradientNorm, learning_rate: learningRate, tokens };
}

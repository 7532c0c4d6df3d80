import { NumericalError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { Random } from "../core/random.ts";
import { parameters } from "../nn/parameters.ts";
import { clipGradients } from "../optim/clip-gradients.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Metrics, MicroBatch, Run } from "./run.ts";

/** What one update needs of a run. */
interface Update<Model, Batch>
  extends Pick<
    Run<Model, Batch>,
    "model" | "objective" | "batches" | "optimizer" | "schedule" | "maxGradientNorm" | "seed"
  > {
  /** What messages call the model, where a run trains several. */
  readonly name?: string;
}

/**
 * One update: gradients summed over the micro-batches of a step, clipped, then one optimizer step. This is the only
 * place where gradients of a step come together.
 *
 * @throws {NumericalError} when the loss or the gradient norm is not finite; the weights are as before.
 * @throws {unknown} the reason of `signal` when that is aborted between two micro-batches; weights and optimizer are as before.
 */
export async function optimizerStep<Model, Batch>(
  run: Update<Model, Batch>,
  step: number,
  signal?: AbortSignal,
): Promise<Metrics> {
  const { optimizer } = run;
  const learningRate = run.schedule(step);
  const losses: Tensor[] = [];
  const measured = new Map<string, Tensor[]>();
  let tokens = 0;
  optimizer.clearGradients();
  const held = (): Tensor[] => [...losses, ...[...measured.values()].flat()];
  for (const [index, micro] of (await run.batches(step)).entries()) {
    if (signal?.aborted) {
      for (const tensor of held()) tensor.release();
      optimizer.clearGradients();
      throw signal.reason;
    }
    const random = new Random(run.seed).child(step).child(index);
    const { loss, metrics } = tensorScope(() => lossAndGradients(run, micro, random));
    losses.push(loss);
    for (const [name, value] of Object.entries(metrics)) measured.set(name, [...(measured.get(name) ?? []), value]);
    tokens += micro.tokens;
    await turnEventLoopWhenDue();
  }
  const gradients = [...optimizer.parameters().values()].flatMap(({ grad }) => grad ?? []);
  const { norm, scale } = clipGradients(gradients, run.maxGradientNorm);
  const loss = await total(losses);
  const gradientNorm = await norm.item();
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) optimizer.update(learningRate, scale);
  const metrics: Metrics = {};
  for (const [name, parts] of measured) metrics[name] = await total(parts);
  for (const tensor of [...held(), norm, scale]) tensor.release();
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    throw new NumericalError(await whatHappened(run, step, loss, gradientNorm));
  }
  return { loss, ...metrics, grad_norm: gradientNorm, learning_rate: learningRate, tokens };
}

/** The loss and metrics of one micro-batch, weighted by its share; gradients are added to those of the step so far. */
function lossAndGradients<Model, Batch>(
  { model, objective }: Update<Model, Batch>,
  { batch, share }: MicroBatch<Batch>,
  random: Random,
): { loss: Tensor; metrics: Record<string, Tensor> } {
  const result = objective(model, batch, random);
  const { loss, metrics } = result instanceof Tensor ? { loss: result, metrics: {} } : result;
  // Copies, made before the backward pass gives the memory of what they are taken from back.
  const parts = Object.entries(metrics).map(([name, value]) => [name, value.detach().mul(share)]);
  const part = share === 1 ? loss : loss.mul(share);
  part.backward();
  return { loss: part.detach(), metrics: Object.fromEntries(parts) };
}

/** Why a step came to nothing, as far as the weights tell, and what to do. */
async function whatHappened<Model, Batch>(
  { model, optimizer, name }: Update<Model, Batch>,
  step: number,
  loss: number,
  gradientNorm: number,
): Promise<string> {
  const whose = name === undefined ? "" : `the ${name}'s `;
  const found = `step ${step + 1}: ${whose}loss is ${loss} and gradient norm is ${gradientNorm}`;
  const damaged = await damagedWeights(model as object);
  if (damaged === null) {
    return `${found}; the weights were left as before this step; try a smaller learning rate or more warm-up steps`;
  }
  if (optimizer.step === 0) {
    return `${found}, because the model it starts from is damaged: ${damaged} holds what is no finite number; start from another`;
  }
  return `${found}, because ${damaged} holds what is no finite number since an earlier step; try a smaller learning rate`;
}

/** Path of the first parameter that is not all finite numbers, or null. */
async function damagedWeights(model: object): Promise<string | null> {
  for (const [path, parameter] of parameters(model)) {
    if (!(await parameter.read()).every(Number.isFinite)) return path;
  }
  return null;
}

async function total(parts: readonly Tensor[]): Promise<number> {
  return (await Promise.all(parts.map((part) => part.item()))).reduce((a, b) => a + b, 0);
}

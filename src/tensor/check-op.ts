import type { FusedKernels } from "../backend/fused-kernels.ts";
import type { Backend, Kernels } from "../backend/kernels.ts";
import type { Inputs, Op } from "./op.ts";
import { apply } from "./op.ts";
import { tensorScope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

/** Half the distance between the two points of a central difference. */
const step = 1e-5;

/**
 * How far an op's gradient is from central differences: the largest |analytic − numeric| / max(1, |numeric|) over all
 * elements of all float32 inputs. Use the float64 reference; a correct gradient then stays below 1e-8.
 *
 * The output is summed with a different weight for each element, since a plain sum hides some gradients (softmax's is
 * zero for it). Where an op gives an input no gradient, the numeric one must be zero.
 */
export async function gradientGap<In extends Inputs, Attrs>(
  op: Op<In, Attrs>,
  inputs: [...In],
  attrs: Attrs,
): Promise<number> {
  return functionGradientGap(() => apply(op, inputs, attrs), inputs);
}

/** {@link gradientGap} of any function of tensors, which must give the same values each time it is called. */
export async function functionGradientGap(body: () => Tensor, inputs: Inputs): Promise<number> {
  const checked = inputs.filter((input): input is Tensor => input?.dtype === "float32");
  const analytic = await gradientsOf(body, checked);
  let gap = 0;
  for (const [i, input] of checked.entries()) {
    for (let element = 0; element < input.size; element++) {
      const [above, below] = [await moved(body, input, element, step), await moved(body, input, element, -step)];
      const numeric = (above - below) / (2 * step);
      gap = Math.max(gap, Math.abs((analytic[i]?.[element] ?? 0) - numeric) / Math.max(1, Math.abs(numeric)));
    }
  }
  return gap;
}

/**
 * How far a fused op is from its `compose`, in the output and in the gradient of every float32 input: the largest
 * |fused − composed| / max(1, |composed|). Both run on the backend of the inputs, which must have the fused kernels.
 */
export async function composeGap<In extends Inputs, Attrs>(
  op: Op<In, Attrs>,
  inputs: [...In],
  attrs: Attrs,
): Promise<number> {
  const backend = inputs.find((input) => input !== null)?.backend;
  const missing = op.fused?.filter((kernel) => !backend || !(kernel in backend.fused));
  if (!backend || !op.compose || missing?.length !== 0) {
    throw new Error(`composeGap: ${op.name} has no compose, or the backend has no ${missing?.join(", ")}`);
  }
  const plain = withoutFused(backend);
  const fused = await outcome(op, inputs, attrs, backend);
  const composed = await outcome(op, inputs, attrs, plain);
  return largestGap(fused, composed);
}

type Numbers = Awaited<ReturnType<Tensor["read"]>>;

/** Values of a function of tensors, followed by the gradient of each float32 input, for a weighted sum of the values. */
export async function valuesAndGradients(body: () => Tensor, inputs: Inputs): Promise<Numbers[]> {
  const leaves = inputs.filter((input): input is Tensor => input?.dtype === "float32");
  const output = tensorScope(body);
  const values = [await output.read(), ...(await gradientsOf(body, leaves))];
  output.release();
  return values;
}

/** The largest |actual − expected| / max(1, |expected|) in lists of numbers; infinite or NaN where they cannot be compared. */
export function largestGap(actual: readonly Numbers[], expected: readonly Numbers[]): number {
  let gap = 0;
  expected.forEach((values, i) => {
    if (values.length !== actual[i]?.length) gap = Number.POSITIVE_INFINITY;
    values.forEach((value, at) => {
      gap = Math.max(gap, Math.abs((actual[i]?.[at] ?? Number.NaN) - value) / Math.max(1, Math.abs(value)));
    });
  });
  return gap;
}

/** Output and gradients of an op whose inputs are looked at through another backend object. */
function outcome<In extends Inputs, Attrs>(
  op: Op<In, Attrs>,
  inputs: [...In],
  attrs: Attrs,
  backend: Backend,
): Promise<Numbers[]> {
  const own = inputs.map((x) => x && new Tensor(backend, x.storage, x.shape, x.offset)) as [...In];
  return valuesAndGradients(() => apply(op, own, attrs), own);
}

/** Gradients of the weighted output with respect to each leaf, leaving the leaves as they were. */
async function gradientsOf(body: () => Tensor, leaves: readonly Tensor[]): Promise<Numbers[]> {
  const before = leaves.map(({ requiresGrad, grad }) => ({ requiresGrad, grad }));
  for (const leaf of leaves) Object.assign(leaf, { requiresGrad: true, grad: null });
  tensorScope(() => weighted(body()).backward());
  const gradients: Numbers[] = [];
  for (const [i, leaf] of leaves.entries()) {
    gradients.push((await leaf.grad?.read()) ?? new Float64Array(leaf.size));
    leaf.grad?.release();
    Object.assign(leaf, before[i]);
  }
  return gradients;
}

/** The weighted output after one element of an input has been moved; the element is put back. */
async function moved(body: () => Tensor, input: Tensor, element: number, by: number): Promise<number> {
  const { kernels } = input.backend;
  const at = input.window(element, [1]);
  const kept = at.copy();
  kernels.affine(at, 1, by, at);
  const value = tensorScope(() => weighted(body()));
  kernels.affine(kept, 1, 0, at);
  kept.release();
  const result = await value.item();
  value.release();
  return result;
}

/** Σᵢ wᵢ yᵢ with weights of both signs, no two alike. */
function weighted(y: Tensor): Tensor {
  const weights = y.blank();
  weights.write(Float32Array.from({ length: y.size }, (_, i) => Math.cos(1 + 1.7 * i)));
  return y.mul(weights).sum();
}

function withoutFused(backend: Backend): Backend {
  return {
    name: backend.name,
    kernels: backend.kernels,
    fused: {},
    all: backend.kernels as Kernels & FusedKernels,
    allocate: (dtype, length) => backend.allocate(dtype, length),
    release: (storage) => backend.release(storage),
    finalizer: (storage) => backend.finalizer(storage),
    chooseTokens: (logits, choices) => backend.chooseTokens(logits, choices),
    write: (storage, offset, values) => backend.write(storage, offset, values),
    read: (storage, offset, length) => backend.read(storage, offset, length),
  };
}

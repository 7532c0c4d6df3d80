/**
 * Our side of the pictures' benchmark: lines such as `{"shape": {…}, "threads": 2, "calls": 5}` are answered with what a
 * convolution takes forwards, with both its gradients, and what the three matrix products of its sizes take:
 * `{"forward": {"seconds": …, "cpuSeconds": …}, "step": {…}, "products": {…}}`, the best of so many calls.
 */
import { openNative } from "../src/backend/native/index.ts";
import { Random } from "../src/core/random.ts";
import type { Shape } from "../src/core/shape.ts";
import { tensorScope } from "../src/tensor/scope.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { answerLines } from "./peers/answer-lines.ts";
import type { Cost } from "./peers/cost.ts";
import { costOf } from "./peers/cost.ts";
import type { ConvolutionShape } from "./pictures-benchmark.ts";

interface Command {
  readonly shape: ConvolutionShape;
  readonly threads: number;
  readonly calls: number;
}

await answerLines<Command>(async ({ shape, threads, calls }) => {
  const { forward, backward, products } = bodiesOf(shape, threads);
  const step = (): void => {
    forward();
    backward();
  };
  return {
    forward: await bestOf(forward, calls),
    step: await bestOf(step, calls),
    products: await bestOf(products, calls),
  };
});

interface Bodies {
  readonly forward: () => void;
  readonly backward: () => void;
  readonly products: () => void;
}

function bodiesOf({ batch, channels, size, filters, stride }: ConvolutionShape, threads: number): Bodies {
  const opened = openNative({ threads });
  if (opened.backend === null) throw new Error(opened.reason);
  const { backend } = opened;
  const kernels = backend.all;
  const normal = (shape: Shape, seed: number): Tensor => Tensor.normal(backend, shape, new Random(seed).draw()).keep();
  const x = normal([batch, size, size, channels], 1);
  const weight = normal([filters, 3, 3, channels], 2);
  const dy = normal([batch, size / stride, size / stride, filters], 3);
  const [dx, dWeight, out] = [x, weight, dy].map((like) => like.blank().keep()) as [Tensor, Tensor, Tensor];
  const places = { stride, top: 1, left: 1 };
  const [rows, taps] = [batch * (size / stride) ** 2, 9 * channels];
  const patches = normal([rows, taps], 4);
  // A stride leaves each pixel fewer taps to be reached by.
  const reached = Math.round((9 * filters) / stride ** 2);
  const pixels = x.reshape([-1, channels]);
  const [turned, around] = [normal([reached, channels], 5), normal([pixels.axis(0), reached], 6)];
  const product = (
    a: Tensor,
    b: Tensor,
    to: Tensor,
    [m, n, k]: [number, number, number],
    a2 = false,
    b2 = false,
  ): void =>
    kernels.matmul({
      ...{ a, b, out: to, batch: 1, m, n, k, transposeA: a2, transposeB: b2, batchStrideA: 0, batchStrideB: 0 },
    });
  return {
    forward: () => kernels.conv2d({ x, weight, bias: null, out, activation: null, preActivation: null, ...places }),
    backward: () => {
      kernels.conv2dInputGrad({ dy, weight, dx, accumulate: false, ...places });
      kernels.conv2dWeightGrad({ dy, x, dWeight, accumulate: false, ...places });
    },
    products: () => {
      product(patches, weight, out, [rows, filters, taps], false, true);
      product(around, turned, dx, [pixels.axis(0), channels, reached]);
      product(dy, patches, dWeight, [filters, taps, rows], true);
    },
  };
}

/** The least of wall time and of processor time, each by itself. */
async function bestOf(body: () => void, calls: number): Promise<Cost> {
  let best: Cost = { seconds: Number.POSITIVE_INFINITY, cpuSeconds: Number.POSITIVE_INFINITY };
  for (let i = 0; i < calls; i++) {
    const { seconds, cpuSeconds } = await costOf(async () => tensorScope(body));
    best = { seconds: Math.min(best.seconds, seconds), cpuSeconds: Math.min(best.cpuSeconds, cpuSeconds) };
  }
  return best;
}

import type { Conv2d, Conv2dInputGrad, Conv2dPlaces, Conv2dWeightGrad, FusedKernels } from "../fused-kernels.ts";
import type { MatmulPrecision } from "../kernels.ts";
import type { View } from "../storage.ts";
import { roundToBfloat16 } from "./bfloat16.ts";
import { floats } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

type Convolutions = Pick<FusedKernels, "conv2d" | "conv2dInputGrad" | "conv2dWeightGrad">;

/** Convolutions, their operands rounded to `precision` first and their sums in float64. */
export function convolutionsIn(precision: MatmulPrecision): Convolutions {
  const operand = (view: View): ReturnType<typeof floats> =>
    precision === "bfloat16" ? floats(view).map(roundToBfloat16) : floats(view);
  return {
    conv2d(own: Conv2d): void {
      const [x, weight, out] = [operand(own.x), operand(own.weight), floats(own.out)];
      const [bias, before] = [own.bias ? floats(own.bias) : null, own.preActivation ? floats(own.preActivation) : null];
      const activate = own.activation ? unaryFunctions[own.activation].value : null;
      const sums = new Float64Array(out.length);
      forTaps(own, own.x, own.weight, own.out, (pixel, tap, result) => {
        sums[result]! += x[pixel]! * weight[tap]!;
      });
      for (let i = 0; i < sums.length; i++) {
        const value = sums[i]! + (bias?.[i % bias.length] ?? 0);
        if (before) before[i] = value;
        out[i] = activate ? activate(value) : value;
      }
    },
    conv2dInputGrad(own: Conv2dInputGrad): void {
      const [dy, weight, dx] = [operand(own.dy), operand(own.weight), floats(own.dx)];
      const sums = new Float64Array(dx.length);
      forTaps(own, own.dx, own.weight, own.dy, (pixel, tap, result) => {
        sums[pixel]! += dy[result]! * weight[tap]!;
      });
      store(sums, dx, own.accumulate);
    },
    conv2dWeightGrad(own: Conv2dWeightGrad): void {
      const [dy, x, dWeight] = [operand(own.dy), operand(own.x), floats(own.dWeight)];
      const sums = new Float64Array(dWeight.length);
      forTaps(own, own.x, own.dWeight, own.dy, (pixel, tap, result) => {
        sums[tap]! += dy[result]! * x[pixel]!;
      });
      store(sums, dWeight, own.accumulate);
    },
  };
}

function store(sums: Float64Array, out: ReturnType<typeof floats>, accumulate: boolean): void {
  for (let i = 0; i < sums.length; i++) out[i] = sums[i]! + (accumulate ? out[i]! : 0);
}

/** Calls `body` with the places in memory of every pixel, tap and result that meet. */
function forTaps(
  { stride, top, left }: Conv2dPlaces,
  x: View,
  weight: View,
  out: View,
  body: (pixel: number, tap: number, result: number) => void,
): void {
  const [batch = 0, height = 0, width = 0, channels = 0] = x.shape;
  const [outChannels = 0, tapRows = 0, tapColumns = 0] = weight.shape;
  const [, rows = 0, columns = 0] = out.shape;
  const places = batch * rows * columns;
  for (let place = 0; place < places; place++) {
    const [picture, row, column] = [
      Math.floor(place / (rows * columns)),
      Math.floor(place / columns) % rows,
      place % columns,
    ];
    for (let tap = 0; tap < tapRows * tapColumns; tap++) {
      const [y, z] = [row * stride - top + Math.floor(tap / tapColumns), column * stride - left + (tap % tapColumns)];
      if (y < 0 || y >= height || z < 0 || z >= width) continue;
      const pixel = ((picture * height + y) * width + z) * channels;
      for (let o = 0; o < outChannels; o++) {
        const first = (o * tapRows * tapColumns + tap) * channels;
        for (let c = 0; c < channels; c++) body(pixel + c, first + c, place * outChannels + o);
      }
    }
  }
}

import { elementCount } from "../../core/shape.ts";
import type {
  Attention,
  AttentionGrad,
  AttentionRule,
  FusedKernels,
  HeadRows,
  RaggedAttention,
} from "../fused-kernels.ts";
import type { MatmulPrecision } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf, handleOrNone, offsetOrZero, roundedHandleOf } from "./storage.ts";

/** Tiled attention and its gradient, with operands of their products rounded to bfloat16 if so asked. */
export function attentionKernels(
  native: NativeFunctions,
  precision: MatmulPrecision,
): Pick<FusedKernels, "attention" | "attentionGrad" | "raggedAttention"> {
  const useBfloat16 = precision === "bfloat16";
  return {
    attention: (operands: Attention) =>
      native.attention(
        ...rule(operands, useBfloat16),
        ...[...rows(operands.query), ...storedRows(operands.key), ...storedRows(operands.value)],
        ...[...view(operands.out), ...view(operands.logSumExp)],
      ),
    attentionGrad: (operands: AttentionGrad) =>
      native.attentionGrad(
        ...rule(operands, useBfloat16),
        ...[...rows(operands.query), ...rows(operands.key), ...rows(operands.value)],
        ...[...view(operands.out), ...view(operands.logSumExp), ...view(operands.dOut)],
        ...[...rows(operands.dQuery), ...rows(operands.dKey), ...rows(operands.dValue), ...view(operands.dBias)],
      ),
    raggedAttention: (operands: RaggedAttention) => native.raggedAttention(...ragged(operands)),
  };
}

/** In the order of `raggedAttention` in native/binding/attention.cpp. */
function ragged(of: RaggedAttention): number[] {
  return [
    ...[of.heads, of.keyValueHeads, of.queries, of.keys, of.headDim, of.scale, of.cap ?? 0, ...view(of.slopes)],
    ...[of.window, of.sequences.shape[0] ?? 0, ...view(of.sequences)],
    ...[...rows(of.query), ...storedRows(of.key), ...storedRows(of.value), ...view(of.out)],
  ];
}

/** In the order of `readRule` in native/binding/attention.cpp. */
function rule(of: AttentionRule, useBfloat16: boolean): number[] {
  const { rate, draw } = of.dropout ?? { rate: 0, draw: { key: [0, 0], stream: 0 } };
  return [
    ...[of.batch, of.heads, of.keyValueHeads, of.queries, of.keys, of.headDim, of.scale, Number(of.causal)],
    ...[Number(useBfloat16), ...view(of.mask), of.mask?.shape[1] ?? 0],
    ...[
      of.cap ?? 0,
      ...view(of.bias),
      ...view(of.slopes),
      Number(of.dropout !== null),
      rate,
      draw.key[0] ?? 0,
      draw.key[1] ?? 0,
      draw.stream,
    ],
  ];
}

/** {@link rows} of keys or values, which may be bfloat16. */
function storedRows(of: HeadRows): number[] {
  return [roundedHandleOf(of.view), ...rowsFrom(of)];
}

function rows(of: HeadRows): number[] {
  return [handleOf(of.view), ...rowsFrom(of)];
}

function rowsFrom({ view, offset, rowStride, batchStride }: HeadRows): number[] {
  const start = elementCount(view.shape) > 0 ? offset : 0;
  return [view.offset + start, rowStride, batchStride];
}

function view(of: View | null): number[] {
  return [handleOrNone(of), offsetOrZero(of)];
}

import type { Attention, AttentionGrad, FusedKernels } from "../fused-kernels.ts";
import type { MatmulPrecision } from "../kernels.ts";
import { attentionWeights, eachQuery } from "./attention-weights.ts";
import { roundToBfloat16 } from "./bfloat16.ts";
import { loadHeads, storeHeads } from "./heads.ts";
import type { Floats } from "./storage.ts";
import { floats } from "./storage.ts";

/**
 * Attention by its definition, holding all weights of one query at a time. The operands of its products
 * are rounded to `precision` first.
 */
export function attentionsIn(precision: MatmulPrecision): Pick<FusedKernels, "attention" | "attentionGrad"> {
  const round = precision === "bfloat16" ? roundToBfloat16 : (x: number) => x;
  const operandsOf = (of: Attention | AttentionGrad): readonly [Sums, Sums, Sums] => [
    loadHeads(of, of.query, of.heads, of.queries).map(round),
    loadHeads(of, of.key, of.keyValueHeads, of.keys).map(round),
    loadHeads(of, of.value, of.keyValueHeads, of.keys).map(round),
  ];
  return {
    attention(operands) {
      const { keys, headDim } = operands;
      const [query, key, value] = operandsOf(operands);
      const weigh = attentionWeights(operands, query, key);
      const out = floats(operands.out);
      const sums = operands.logSumExp ? floats(operands.logSumExp) : null;
      const mixed = new Float64Array(headDim);
      eachQuery(operands, (place) => {
        const { weights, kept, logSumExp } = weigh(place);
        mixed.fill(0);
        for (let j = 0; j < keys; j++) {
          addScaled(round(weights[j]! * kept[j]!), value, place.keys + j * headDim, mixed, 0);
        }
        out.set(mixed, place.out);
        if (sums) sums[place.row] = logSumExp;
      });
    },

    /**
     * With p the weights, m what dropout multiplies them by, and dO the gradient of the output:
     * dV = (p ⊙ m)ᵀ dO, dp = m ⊙ (dO Vᵀ), ds = p ⊙ (dp − Σⱼ p dp), dBias = ds summed over the batch; and with the
     * scores' slopes c, 1 unless capped, dx = scale · c ⊙ ds, dQ = dx K, dK = dxᵀ Q.
     */
    attentionGrad(operands) {
      const { heads, keyValueHeads, queries, keys, headDim, scale } = operands;
      const [query, key, value] = operandsOf(operands);
      const [dQuery, dKey, dValue] = [query, key, value].map((x) => new Float64Array(x.length)) as [Sums, Sums, Sums];
      const dBias = operands.dBias ? new Float64Array(heads * queries * keys) : null;
      const dOut = floats(operands.dOut).map(round);
      const weigh = attentionWeights(operands, query, key);
      const dWeights = new Float64Array(keys);
      eachQuery(operands, (place) => {
        const { weights, kept, slopes } = weigh(place);
        let total = 0;
        for (let j = 0; j < keys; j++) {
          const at = place.keys + j * headDim;
          addScaled(round(weights[j]! * kept[j]!), dOut, place.out, dValue, at, headDim);
          dWeights[j] = weights[j] === 0 ? 0 : kept[j]! * dot(dOut, place.out, value, at, headDim);
          total += weights[j]! * dWeights[j]!;
        }
        for (let j = 0; j < keys; j++) {
          const at = place.keys + j * headDim;
          const dScore = weights[j]! * (dWeights[j]! - total);
          const dProduct = round(dScore * slopes[j]! * scale);
          addScaled(dProduct, key, at, dQuery, place.query, headDim);
          addScaled(dProduct, query, place.query, dKey, at, headDim);
          if (dBias) dBias[place.bias + j]! += dScore;
        }
      });
      storeHeads(operands, dQuery, operands.dQuery, heads, queries);
      storeHeads(operands, dKey, operands.dKey, keyValueHeads, keys);
      storeHeads(operands, dValue, operands.dValue, keyValueHeads, keys);
      if (operands.dBias && dBias) floats(operands.dBias).set(dBias);
    },
  };
}

type Sums = Float64Array;

/** to += factor · from, over one head; what a factor of 0 hides may be anything, even not a number. */
function addScaled(factor: number, from: Floats, at: number, to: Floats, atTo: number, count = to.length): void {
  if (factor === 0) return;
  for (let d = 0; d < count; d++) to[atTo + d]! += factor * from[at + d]!;
}

function dot(a: Floats, atA: number, b: Floats, atB: number, count: number): number {
  let sum = 0;
  for (let d = 0; d < count; d++) sum += a[atA + d]! * b[atB + d]!;
  return sum;
}

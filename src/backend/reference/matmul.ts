import type { Matmul, MatmulPrecision } from "../kernels.ts";
import { isWeightFormat, weightFormats } from "../weight-formats.ts";
import { roundToBfloat16 } from "./bfloat16.ts";
import { roundedRows } from "./rounded-rows.ts";
import type { Floats } from "./storage.ts";
import { floats, minimaOf, valuesOf, weightsOf } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

type Finish = (sum: number, at: number, column: number) => void;

/** The matrix product, its operands rounded to `precision` first and its sums in float64. */
export function matmulIn(precision: MatmulPrecision): (product: Matmul) => void {
  const round = precision === "bfloat16" ? roundToBfloat16 : null;
  return (product) => {
    const { batch, m, n, k } = product;
    const finish = finisher(product);
    if (isRounded(product)) return roundedProduct(product, finish);
    const { storage: storedB } = product.b;
    const valuesA = valuesOf(product.a.storage) as Floats;
    let [a, b]: [Floats, Floats] = [valuesA, valuesA];
    for (let pair = 0; pair < batch; pair++) {
      const [startA, startB] = [
        product.a.offset + pair * product.batchStrideA,
        product.b.offset + pair * product.batchStrideB,
      ];
      // Both operands as rows of k numbers, so that every element of the product walks two stretches of memory.
      if (pair === 0 || product.batchStrideA > 0) {
        a = pack(valuesA.subarray(startA, startA + m * k), m, k, product.transposeA, round);
      }
      if (pair === 0 || product.batchStrideB > 0) {
        b = pack(weightsOf(storedB, startB, n * k), n, k, !product.transposeB, round);
      }
      multiply(a, b, { m, n, k, start: pair * m * n }, finish);
    }
  };
}

/** Whether rows are rounded for products of integers. */
function isRounded({ b: { storage }, roundsRows, transposeB }: Matmul): boolean {
  return Boolean(roundsRows && transposeB && isWeightFormat(storage.dtype) && weightFormats[storage.dtype].block > 1);
}

/** The same with rows rounded to what ggml rounds them to, whose sums, where minima multiply them, are rounded as well. */
function roundedProduct(product: Matmul, finish: Finish): void {
  const { batch, m, n, k } = product;
  const { dtype } = product.b.storage;
  if (!isWeightFormat(dtype)) return;
  for (let pair = 0; pair < batch; pair++) {
    const startA = product.a.offset + pair * product.batchStrideA;
    const startB = product.b.offset + pair * product.batchStrideB;
    const stored = (valuesOf(product.a.storage) as Floats).subarray(startA, startA + m * k);
    const { values, excess } = roundedRows(dtype, pack(stored, m, k, product.transposeA, null));
    const start = pair * m * n;
    const added = excess && excessProducts(excess, minimaOf(product.b.storage, startB, n * k), { m, n });
    const finishAll: Finish = added ? (sum, at, column) => finish(sum + added[at - start]!, at, column) : finish;
    multiply(values, weightsOf(product.b.storage, startB, n * k), { m, n, k, start }, finishAll);
  }
}

/** Σ over blocks of excess · minimum: excess `[m, blocks]`, minima `[n, blocks]` → `[m, n]`. */
function excessProducts(excess: Float64Array, minima: Float64Array, { m, n }: Pick<Sizes, "m" | "n">): Float64Array {
  const out = new Float64Array(m * n);
  const blocks = excess.length / Math.max(m, 1);
  const finish: Finish = (sum, at) => {
    out[at] = sum;
  };
  multiply(excess, minima, { m, n, k: blocks, start: 0 }, finish);
  return out;
}

/** `count` rows of k numbers; `isAcross` when they are stored as columns, `[k, count]`. */
function pack(
  stored: Floats,
  count: number,
  k: number,
  isAcross: boolean,
  round: ((x: number) => number) | null,
): Floats {
  if (!isAcross && !round) return stored;
  const packed = stored.slice();
  if (isAcross) {
    for (let p = 0; p < k; p++) for (let i = 0; i < count; i++) packed[i * k + p] = stored[p * count + i]!;
  }
  if (round) for (let i = 0; i < packed.length; i++) packed[i] = round(packed[i]!);
  return packed;
}

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Of this matrix in the output. */
  readonly start: number;
}

/** out[i, j] = Σₚ a[i, p] · b[j, p], four columns at a time: four sums that do not wait for each other. */
function multiply(a: Floats, b: Floats, { m, n, k, start }: Sizes, finish: Finish): void {
  const wide = n - (n % 4);
  for (let i = 0; i < m; i++) {
    const [row, out] = [i * k, start + i * n];
    for (let j = 0; j < wide; j += 4) {
      const [b0, b1, b2, b3] = [j * k, (j + 1) * k, (j + 2) * k, (j + 3) * k];
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let p = 0; p < k; p++) {
        const x = a[row + p]!;
        s0 += x * b[b0 + p]!;
        s1 += x * b[b1 + p]!;
        s2 += x * b[b2 + p]!;
        s3 += x * b[b3 + p]!;
      }
      finish(s0, out + j, j);
      finish(s1, out + j + 1, j + 1);
      finish(s2, out + j + 2, j + 2);
      finish(s3, out + j + 3, j + 3);
    }
    for (let j = wide; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[row + p]! * b[j * k + p]!;
      finish(sum, out + j, j);
    }
  }
}

/** What happens to each sum: added to the output, or through bias, residual and activation into it. */
function finisher(product: Matmul): Finish {
  const out = floats(product.out);
  if (product.accumulate) {
    return (sum, at) => {
      out[at]! += sum;
    };
  }
  const bias = product.bias ? floats(product.bias) : null;
  const residual = product.residual ? floats(product.residual) : null;
  const before = product.preActivation ? floats(product.preActivation) : null;
  const activate = product.activation ? unaryFunctions[product.activation].value : null;
  return (sum, at, column) => {
    let value = sum;
    if (bias) value += bias[column]!;
    if (residual) value += residual[at]!;
    if (before) before[at] = value;
    out[at] = activate ? activate(value) : value;
  };
}

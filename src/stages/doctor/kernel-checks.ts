import type { Backend, MatmulPrecision } from "../../backend/kernels.ts";
import { nativeInstructionSets, openNative } from "../../backend/native/index.ts";
import { openReference } from "../../backend/reference/index.ts";
import { NumericalError } from "../../core/errors.ts";
import { functionGradientGap, largestGap, valuesAndGradients } from "../../tensor/check-op.ts";
import type { Check } from "./check.ts";
import { withoutNative } from "./machine-checks.ts";
import type { OpCase } from "./op-cases.ts";
import { inputsOf, matmulCases, opCases } from "./op-cases.ts";

/** Room for float32 rounding in sums of some dozen terms, relative to numbers above 1. */
const roundingRoom = 1e-4;

/** Room for the error of a central difference in float64. */
const differenceRoom = 1e-7;

/** No multiple of any vector's length, and more than one tile of a matrix product. */
const unevenSizes = { rows: 37, width: 76 };

/** Every native kernel, in all variants that this processor can run, against the reference in float64. */
export const kernelCheck: Check = {
  name: "kernels",
  async run({ threads }) {
    const variants = nativeInstructionSets();
    if (variants.length === 0) return withoutNative;
    const cases = opCases(unevenSizes);
    const gaps: Gap[] = [];
    for (const instructionSet of variants) {
      const { backend } = openNative({ threads, instructionSet });
      if (backend) gaps.push(...(await backendGaps(cases, backend, `on ${instructionSet}`)));
    }
    return verdict(gaps, roundingRoom, `${cases.length} uses of ops × ${variants.length} instruction sets`);
  },
};

/** Matrix products of bfloat16 operands against the reference with the same rounding. */
export const bfloat16Check: Check = {
  name: "bfloat16 products",
  async run({ threads }) {
    const variants = nativeInstructionSets();
    if (variants.length === 0) return withoutNative;
    const cases = matmulCases(unevenSizes);
    const gaps: Gap[] = [];
    for (const instructionSet of variants) {
      const { backend } = openNative({ threads, instructionSet, matmulPrecision: "bfloat16" });
      if (backend) gaps.push(...(await backendGaps(cases, backend, `on ${instructionSet}`, "bfloat16")));
    }
    return verdict(gaps, roundingRoom, `${cases.length} layouts × ${variants.length} instruction sets`);
  },
};

/** Gradients of every op against central differences, in float64. */
export const gradientCheck: Check = {
  name: "gradients",
  async run() {
    const exact = openReference({ precision: "float64" });
    const cases = opCases({ rows: 3, width: 4 });
    const gaps: Gap[] = [];
    for (const one of cases) {
      const inputs = inputsOf(one, exact);
      gaps.push({ name: one.name, gap: await functionGradientGap(() => one.body(inputs), inputs) });
    }
    return verdict(gaps, differenceRoom, `${cases.length} uses of ops against finite differences`);
  },
};

/** How far something is from what it should be: the largest |actual − expected| / max(1, |expected|). */
interface Gap {
  readonly name: string;
  readonly gap: number;
}

/** How far a backend's values and gradients are from those of the reference in float64. */
export async function backendGaps(
  cases: readonly OpCase[],
  backend: Backend,
  where = "",
  matmulPrecision: MatmulPrecision = "float32",
): Promise<Gap[]> {
  const exact = openReference({ precision: "float64", matmulPrecision });
  const gaps: Gap[] = [];
  for (const one of cases) {
    const [actual = [], expected = []] = await Promise.all([backend, exact].map((place) => outcome(one, place)));
    gaps.push({ name: `${one.name} ${where}`.trim(), gap: largestGap(actual, expected) });
  }
  return gaps;
}

function outcome(one: OpCase, backend: Backend): ReturnType<typeof valuesAndGradients> {
  const inputs = inputsOf(one, backend);
  return valuesAndGradients(() => one.body(inputs), inputs);
}

/**
 * What was compared, and how close it was.
 *
 * @throws {NumericalError} naming whatever is further off than there is room for.
 */
export function verdict(gaps: readonly Gap[], room: number, what: string): string {
  const wrong = gaps.filter(({ gap }) => !(gap <= room)); // NaN is wrong too
  const shown = wrong.slice(0, 3).map(({ name, gap }) => `${name} is off by ${gap.toPrecision(2)}`);
  const more = wrong.length > 3 ? ` and ${wrong.length - 3} more` : "";
  if (wrong.length > 0) throw new NumericalError(`${shown.join(", ")}${more}; at most ${room} is right`);
  return `${what}, at most ${Math.max(...gaps.map(({ gap }) => gap)).toExponential(0)} off`;
}

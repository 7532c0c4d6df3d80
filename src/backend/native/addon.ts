import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { DataError, StemmaError } from "../../core/errors.ts";

/** Functions of the addon, bound to a number of threads and an instruction set. A view is a handle and an offset. */
export interface NativeFunctions {
  readonly instructionSet: InstructionSet;
  readonly threads: number;
  /** Whether a bfloat16 product is one instruction here; else operands are rounded and multiplied as float32. */
  readonly hasBfloat16Products: boolean;

  /** Names of all functions; a function's number is its place among them. */
  readonly methods: readonly string[];
  /** Makes calls once more: for each the number of its function, how many arguments it has, and these, all numbers. */
  repeat(table: Float64Array): void;

  /** A handle for `length` elements, not cleared; negative when the system has no memory for them. Format 0 has four bytes each. */
  allocate(length: number, format: number): number;
  /** Does nothing for a handle that was released before. */
  release(handle: number): void;
  /** Memory of a weight format is written and read as bytes. */
  write(handle: number, offset: number, values: Float32Array | Int32Array | Uint8Array): void;
  /** Fills `values`. */
  read(handle: number, offset: number, values: Float32Array | Int32Array | Uint8Array): void;
  /** Bytes in use, bytes free in the pool, and the most that was ever in use. */
  memory(): [inUse: number, pooled: number, peak: number];
  resetPeak(): void;
  /** Gives the pool's free memory back to the system. */
  trim(): void;

  /** Multiply-adds per second (two operations each), from registers. */
  floatPeak(seconds: number, threads: number): number;
  bfloat16Peak(seconds: number, threads: number): number;
  /** Bytes per second, from memory outside every cache. */
  readBandwidth(seconds: number, threads: number): number;

  /** Every kernel: plain numbers in the order of its binding in native/binding. */
  matmul(...numbers: number[]): void;
  matmuls(table: Float64Array, useBfloat16: number, roundsRows: number): void;
  fill(...numbers: number[]): void;
  affine(...numbers: number[]): void;
  accumulate(...numbers: number[]): void;
  select(...numbers: number[]): void;
  normal(...numbers: number[]): void;
  dropout(...numbers: number[]): void;
  binary(...numbers: number[]): void;
  transfer(...numbers: number[]): void;
  unary(...numbers: number[]): void;
  unaryGrad(...numbers: number[]): void;
  gatedUnit(...numbers: number[]): void;
  gatedUnitGrad(...numbers: number[]): void;
  sum(...numbers: number[]): void;
  max(...numbers: number[]): void;
  argmax(...numbers: number[]): void;
  softmax(...numbers: number[]): void;
  softmaxGrad(...numbers: number[]): void;
  logSoftmax(...numbers: number[]): void;
  logSoftmaxGrad(...numbers: number[]): void;
  crossEntropy(...numbers: number[]): void;
  gatherRows(...numbers: number[]): void;
  decode(...numbers: number[]): void;
  setRows(...numbers: number[]): void;
  scatterAddRows(...numbers: number[]): void;
  pick(...numbers: number[]): void;
  pickGrad(...numbers: number[]): void;
  layerNorm(...numbers: number[]): void;
  rmsNorm(...numbers: number[]): void;
  normGrad(...numbers: number[]): void;
  groupNorm(...numbers: number[]): void;
  groupNormGrad(...numbers: number[]): void;
  convolution(...numbers: number[]): void;
  convolutionInputGrad(...numbers: number[]): void;
  convolutionWeightGrad(...numbers: number[]): void;
  rotary(...numbers: number[]): void;
  lstmCell(...numbers: number[]): void;
  lstmCellGrad(...numbers: number[]): void;
  attention(...numbers: number[]): void;
  attentionGrad(...numbers: number[]): void;
  raggedAttention(...numbers: number[]): void;
  /** Handle, offset, rows, width; the table of what is asked, the ids that belong to it, and room for the results. */
  chooseTokens(
    ...numbers: [
      ...logits: [number, number, number, number],
      asked: Float64Array,
      ids: Int32Array,
      results: Float64Array,
    ]
  ): void;
  /** Ten numbers for each parameter: four views, its length and its decay. */
  adamw(table: Float64Array, ...numbers: number[]): void;
  /** Five numbers for each parameter: two views and their length. */
  average(table: Float64Array, decay: number): void;
  /** Three numbers for each view: handle, offset and length. */
  globalNorm(table: Float64Array, ...numbers: number[]): void;
}

/** Variants the kernels are compiled in. */
export type InstructionSet = "avx512amx" | "avx512bf16" | "avx512" | "avx2" | "dotprod" | "portable";

interface Addon {
  /** What this processor can run, best first. */
  instructionSets(): InstructionSet[];
  /**
   * Threads 0: one for each core; instruction set "": the best. Undefined when the processor lacks it. Functions throw
   * errors of the two classes: for a call that cannot be made, and for ids that point past the end.
   */
  open(
    threads: number,
    instructionSet: string,
    stemmaError: typeof StemmaError,
    dataError: typeof DataError,
  ): NativeFunctions | undefined;
}

/** The root of the package; the same place seen from `src/` and from `dist/`. */
const root = new URL("../../../", import.meta.url);
const addonPath = fileURLToPath(new URL("build/Release/stemma.node", root));

/** The addon, or why it cannot be used and what to do. */
export function loadAddon(): Addon | { readonly reason: string } {
  const build = `run \`node ${fileURLToPath(new URL("scripts/build-native.mjs", root))}`;
  if (!existsSync(addonPath)) return { reason: `${whyMissing()}; ${build} --verbose\` to build it` };
  try {
    return createRequire(import.meta.url)(addonPath) as Addon;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { reason: `the native addon does not load (${message}); ${build} --force\`` };
  }
}

/** What the last build left about itself, as far as there was one. */
function whyMissing(): string {
  try {
    const { failure } = JSON.parse(readFileSync(new URL("build/stemma.json", root), "utf8")) as { failure: unknown };
    if (typeof failure === "string") return `the native addon could not be built (${failure})`;
  } catch {
    // Never built, as when a package is installed without its scripts.
  }
  return "the native addon is not built";
}

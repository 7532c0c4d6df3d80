import type { InstructionSet, NativeFunctions } from "./addon.ts";

/** What the machine can do, as the native backend sees and measures it. */
export interface NativeMachine {
  readonly instructionSet: InstructionSet;
  readonly threads: number;
  readonly hasBfloat16Products: boolean;
  /** Operations per second of multiply-adds from registers, measured now; takes `seconds` (default 0.1). */
  peak(precision: "float32" | "bfloat16", threads: number, seconds?: number): number;
  /** Bytes per second read from memory outside every cache, measured now; holds 768 MB meanwhile. */
  readBandwidth(threads: number, seconds?: number): number;
  memory(): NativeMemory;
  /** Starts the peak anew from what is in use now. */
  resetPeak(): void;
  /** Gives the pool's free memory back to the system. */
  trim(): void;
}

/** Bytes of tensors and of what kernels need while they run. */
export interface NativeMemory {
  readonly inUse: number;
  readonly pooled: number;
  readonly peak: number;
}

/** Features and limits of the machine. */
export function nativeMachine(native: NativeFunctions): NativeMachine {
  return {
    instructionSet: native.instructionSet,
    threads: native.threads,
    hasBfloat16Products: native.hasBfloat16Products,
    peak: (precision, threads, seconds = 0.1) =>
      precision === "float32" ? native.floatPeak(seconds, threads) : native.bfloat16Peak(seconds, threads),
    readBandwidth(threads, seconds = 0.1) {
      const rate = native.readBandwidth(seconds, threads);
      native.trim();
      return rate;
    },
    memory() {
      const [inUse, pooled, peak] = native.memory();
      return { inUse, pooled, peak };
    },
    resetPeak: () => native.resetPeak(),
    trim: () => native.trim(),
  };
}

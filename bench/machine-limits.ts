import type { NativeMachine } from "../src/backend/native/index.ts";
import { openNative } from "../src/backend/native/index.ts";
import { UnsupportedError } from "../src/core/errors.ts";
import { median } from "./table.ts";

/** Arithmetic precision of matrix products. */
export type Precision = "float32" | "bfloat16";

/**
 * What this machine does at best, measured again and again during a benchmark, in turn with the programs: medians, so
 * that programs and limits met the same machine.
 */
export class MachineLimits {
  readonly #machine: NativeMachine;
  readonly #threads: number;
  readonly #peaks = new Map<Precision, number[]>();
  readonly #bandwidths = new Map<number, number[]>();

  /** @throws {UnsupportedError} when the addon is not built: there is nothing worth measuring then. */
  constructor(threads: number) {
    const opened = openNative({ threads });
    if (opened.backend === null) throw new UnsupportedError(`bench: ${opened.reason}`);
    this.#machine = opened.backend.machine;
    this.#threads = threads;
  }

  /** Best variant of the kernels that runs here. */
  get instructionSet(): string {
    return this.#machine.instructionSet;
  }

  /** Measures and gives the operations a second that multiply-adds reach from registers, on all threads; takes 0.2 s. */
  measurePeak(precision: Precision): number {
    const rate = this.#machine.peak(precision, this.#threads, 0.2);
    this.#peaks.set(precision, [...(this.#peaks.get(precision) ?? []), rate]);
    return rate;
  }

  /** Measures how fast memory is read by so many threads; takes 0.2 s. */
  measureBandwidth(threads: number): void {
    const rate = this.#machine.readBandwidth(threads, 0.2);
    this.#bandwidths.set(threads, [...(this.#bandwidths.get(threads) ?? []), rate]);
  }

  /** Floating-point operations a second. */
  peak(precision: Precision): number {
    return median(this.#peaks.get(precision) ?? []);
  }

  /** Bytes a second, of the number of threads that reads fastest. */
  get bandwidth(): number {
    return Math.max(...[...this.#bandwidths.values()].map(median));
  }

  /** Everything measured so far, for the record. */
  summary(): object {
    return {
      instructionSet: this.instructionSet,
      threads: this.#threads,
      operationsPerSecond: Object.fromEntries(this.#peaks),
      bytesPerSecondByThreads: Object.fromEntries(this.#bandwidths),
    };
  }
}

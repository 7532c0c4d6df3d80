import type { NativeMachine } from "../src/backend/native/index.ts";
import { openNative } from "../src/backend/native/index.ts";
import { UnsupportedError } from "../src/core/errors.ts";

/** Arithmetic precision of matrix products. */
export type Precision = "float32" | "bfloat16";

/** The most that this machine was seen to do, measured again and again during a benchmark; the best of all counts. */
export class MachineLimits {
  readonly #machine: NativeMachine;
  readonly #threads: number;
  readonly #peaks = new Map<Precision, number>();
  readonly #bandwidths = new Map<number, number>();

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

  /** Measures what a precision's multiply-adds reach from registers, on all threads; takes a third of a second. */
  measurePeak(precision: Precision): void {
    const rate = this.#machine.peak(precision, this.#threads, 0.3);
    this.#peaks.set(precision, Math.max(rate, this.#peaks.get(precision) ?? 0));
  }

  /** Measures how fast memory is read by so many threads; takes a third of a second. */
  measureBandwidth(threads: number): void {
    const rate = this.#machine.readBandwidth(threads, 0.3);
    this.#bandwidths.set(threads, Math.max(rate, this.#bandwidths.get(threads) ?? 0));
  }

  /** Floating-point operations a second. */
  peak(precision: Precision): number {
    return this.#peaks.get(precision) ?? Number.NaN;
  }

  /** Bytes a second, of the number of threads that reads fastest. */
  get bandwidth(): number {
    return Math.max(...this.#bandwidths.values());
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

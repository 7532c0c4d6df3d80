import type { FusedKernels } from "../../src/backend/fused-kernels.ts";
import type { Backend, Kernels, MatmulPrecision } from "../../src/backend/kernels.ts";
import type { Dtype, Storage, View, WeightFormatName } from "../../src/backend/storage.ts";
import { weightFormats } from "../../src/backend/weight-formats.ts";
import { superBlock } from "../../src/core/k-decoding.ts";
import { Random } from "../../src/core/random.ts";
import type { Shape } from "../../src/core/shape.ts";
import { elementCount } from "../../src/core/shape.ts";
import type { Tolerance } from "../closeness.ts";

/** Calls of one kernel, with operands that it makes for itself: the same on every backend. */
export interface Case {
  readonly name: string;
  /** Room for rounding against the reference; default `nearly`. */
  readonly tolerance?: Tolerance;
  /** Default: float32. */
  readonly matmulPrecision?: MatmulPrecision;
  readonly run: (kernels: Kernels & FusedKernels, memory: Workspace) => void;
}

/** Cases of some kernels. */
export type CasesOf<Name extends keyof (Kernels & FusedKernels)> = Readonly<Record<Name, readonly Case[]>>;

/** What lies around every operand, so that a kernel that writes beside it is found out. */
export const guard = 1234.5;

/** Operands of kernels on one backend: each in a storage of its own, between guards, and at an uneven offset. */
export class Workspace {
  readonly #backend: Backend;
  readonly #storages: Storage[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  floats(values: ArrayLike<number>, shape: Shape = [values.length]): View {
    return this.#place("float32", values, shape);
  }

  ids(values: ArrayLike<number>, shape: Shape = [values.length]): View {
    return this.#place("int32", values, shape);
  }

  /** Normal numbers; another seed for each operand of a case. */
  normal(shape: Shape, seed: number, standardDeviation = 1): View {
    return this.floats(new Random(seed).normal(elementCount(shape), standardDeviation), shape);
  }

  /** Numbers of about 1 as weights in a format; what lies around them are weights too. */
  weights(format: WeightFormatName, shape: Shape, seed: number): View {
    const { block, bytes, scales, encode } = weightFormats[format];
    const [before, after] = [3 * block, block];
    const raw = new Uint8Array(((before + elementCount(shape) + after) / block) * bytes);
    if (block === superBlock) {
      // Any bytes are a block; to search the best ones for so many numbers would take long.
      const reader = new Random(seed).reader();
      for (let i = 0; i < raw.length; i++) raw[i] = reader.word();
      for (let at = 0; at < raw.length; at += bytes) for (const scale of scales) raw.set([0, 0x10], at + scale); // 2⁻¹¹
    } else {
      const values = new Float32Array(before + elementCount(shape) + after).fill(guard);
      values.set(new Random(seed).normal(elementCount(shape), 1), before);
      encode("weights", values, raw);
    }
    const storage = this.#backend.allocate(format, before + elementCount(shape) + after);
    this.#backend.write(storage, 0, raw);
    this.#storages.push(storage);
    return { storage, offset: before, shape };
  }

  /** Numbers that rounding to 127 steps a block, of any length, keeps: whole ones, with 127 first in each 32. */
  wholeNumbers(shape: Shape, seed: number): View {
    const values = new Random(seed).normal(elementCount(shape), 40);
    return this.floats(
      values.map((value, i) => (i % 32 === 0 ? 127 : Math.max(-127, Math.min(127, Math.round(value))))),
      shape,
    );
  }

  /** An output: NaN everywhere until the kernel writes it. */
  blank(shape: Shape): View {
    return this.floats(new Float32Array(elementCount(shape)).fill(Number.NaN), shape);
  }

  /** An integer output. */
  blankIds(shape: Shape): View {
    return this.ids(new Int32Array(elementCount(shape)).fill(-7), shape);
  }

  /** Everything that kernels may have touched, in the order in which it was made; inputs and guards included. */
  async contents(): Promise<(Float32Array | Int32Array)[]> {
    const all = this.#storages.map((storage) => this.#backend.read(storage, 0, storage.length));
    return (await Promise.all(all)).map((values) =>
      values instanceof Float64Array ? Float32Array.from(values) : values,
    );
  }

  release(): void {
    for (const storage of this.#storages) this.#backend.release(storage);
  }

  #place(dtype: Dtype, values: ArrayLike<number>, shape: Shape): View {
    const offset = 3 + 2 * (this.#storages.length % 5);
    const length = offset + values.length + 4;
    const padded = dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
    padded.fill(guard).set(values, offset);
    const storage = this.#backend.allocate(dtype, length);
    this.#backend.write(storage, 0, padded);
    this.#storages.push(storage);
    return { storage, offset, shape };
  }
}

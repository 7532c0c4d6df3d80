import { elementCount } from "../../core/shape.ts";
import type {
  Attention,
  AttentionGrad,
  Conv2d,
  Conv2dInputGrad,
  Conv2dWeightGrad,
  FusedKernels,
  RaggedAttention,
} from "../fused-kernels.ts";
import type { Backend, Kernels, Matmul } from "../kernels.ts";
import type { Dtype, Storage, View } from "../storage.ts";
import type { ChosenToken, TokenChoice } from "../token-choice.ts";
import { storedBytes } from "../weight-formats.ts";

/** What a {@link CountingBackend} has counted. */
export interface Counts {
  /** Bytes of storages now. */
  readonly inUse: number;
  /** The most there have been at once. */
  readonly peak: number;
  /** Floating-point operations of matrix products and attention. */
  readonly operations: number;
}

class CountedStorage implements Storage {
  readonly dtype: Dtype;
  readonly length: number;
  isReleased = false;

  constructor(dtype: Dtype, length: number) {
    this.dtype = dtype;
    this.length = length;
  }
}

/** Bytes that the native backend takes for so many elements: whole cache lines. */
function bytesOf(dtype: Dtype, length: number): number {
  return Math.max(64, Math.ceil(storedBytes(dtype, length) / 64) * 64);
}

/**
 * A backend that computes nothing and holds nothing: it counts what a computation would take. Everything read from it
 * is 0. So the memory of a run is known from the very code that will run, for models of any size.
 */
export class CountingBackend implements Backend {
  readonly name = "counting";
  readonly kernels: Kernels;
  readonly fused: Partial<FusedKernels>;
  readonly all: Kernels & FusedKernels;
  #inUse = 0;
  #peak = 0;
  #operations = 0;

  constructor() {
    const count = (operations: number): void => {
      this.#operations += operations;
    };
    const counted: Partial<Kernels & FusedKernels> = {
      matmul: ({ batch, m, n, k }: Matmul) => {
        count(2 * batch * m * n * k);
        // The native backend lays the smaller operand out anew for the time of a product.
        if (m > 8) this.#scratch(Math.min(m, n) * k);
      },
      attention: (own: Attention) => count(2 * scores(own)),
      attentionGrad: (own: AttentionGrad) => count(5 * scores(own)),
      raggedAttention: ({ heads, queries, keys, headDim }: RaggedAttention) =>
        count(4 * heads * queries * keys * headDim),
      conv2d: ({ out, weight, x }: Conv2d) => {
        count(convolutionOperations(out, weight));
        // Filters, or where these are more the patches, are laid out anew.
        this.#scratch(Math.min(elementCount(weight.shape), elementCount(out.shape) * elementCount(x.shape.slice(3))));
      },
      conv2dInputGrad: ({ dy, dx, weight, stride }: Conv2dInputGrad) => {
        count(convolutionOperations(dy, weight));
        this.#scratch(2 * elementCount(weight.shape) + (stride > 1 ? elementCount(dx.shape) : 0));
      },
      conv2dWeightGrad: ({ dy, dWeight }: Conv2dWeightGrad) => {
        count(convolutionOperations(dy, dWeight));
        this.#scratch(elementCount(dy.shape));
      },
      groupedLinear: ({ x: { shape }, weight }) => {
        const [groups = 1, outputs = 1, inputs = 1] = weight.shape;
        const [rows = 1] = shape;
        count(2 * rows * outputs * inputs);
        this.#scratch(Math.min(rows, groups * outputs) * inputs);
      },
      groupedLinearGrad: ({ x: { shape }, weight, dx, dWeight }) => {
        const [groups = 1, outputs = 1, inputs = 1] = weight.shape;
        const [rows = 1] = shape;
        count((dx && dWeight ? 4 : 2) * rows * outputs * inputs);
        const forRows = dx ? Math.min(rows, groups * inputs) * outputs : 0;
        this.#scratch(forRows + (dWeight ? rows * Math.min(outputs, inputs) : 0));
      },
    };
    const nothing = (): void => {};
    // Every kernel there is or will be: those that are not counted do nothing.
    this.all = new Proxy(counted, {
      get: (target, name) => Reflect.get(target, name) ?? nothing,
      has: () => true,
    }) as Kernels & FusedKernels;
    this.kernels = this.all;
    this.fused = this.all;
  }

  /** What has been counted so far. */
  counts(): Counts {
    return { inUse: this.#inUse, peak: this.#peak, operations: this.#operations };
  }

  /** Starts peak and operations anew from what is in use now. */
  reset(): void {
    this.#peak = this.#inUse;
    this.#operations = 0;
  }

  allocate(dtype: Dtype, length: number): Storage {
    this.#inUse += bytesOf(dtype, length);
    this.#peak = Math.max(this.#peak, this.#inUse);
    return new CountedStorage(dtype, length);
  }

  /** Memory for so many elements that a kernel takes and gives back. */
  #scratch(length: number): void {
    this.#peak = Math.max(this.#peak, this.#inUse + bytesOf("float32", length));
  }

  release(storage: Storage): void {
    const own = storage as CountedStorage;
    if (!own.isReleased) this.#inUse -= bytesOf(own.dtype, own.length);
    own.isReleased = true;
  }

  finalizer(): () => void {
    return () => {
      // What JavaScript collects was counted until then; a plan does not wait for that.
    };
  }

  async chooseTokens(_logits: View, choices: readonly TokenChoice[]): Promise<ChosenToken[]> {
    return choices.map(() => ({ token: 0, logprob: 0, top: [] }));
  }

  write(): void {
    // There is nothing to write to.
  }

  async read(storage: Storage, _offset: number, length: number): Promise<Float32Array | Int32Array> {
    return storage.dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
  }
}

/** Of a convolution, or of one of its gradients. */
function convolutionOperations(results: View, weight: View): number {
  return 2 * elementCount(results.shape) * elementCount(weight.shape.slice(1));
}

/** Multiply-adds of queries with keys, twice: once for scores. Causality leaves half of them, except behind a cache. */
function scores({ batch, heads, queries, keys, headDim, causal }: Attention | AttentionGrad): number {
  const seen = causal && queries === keys ? 0.5 : 1;
  return 2 * batch * heads * queries * keys * headDim * seen;
}

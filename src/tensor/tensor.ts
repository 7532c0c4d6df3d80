import type { UnaryKind } from "../backend/functions.ts";
import type { Backend } from "../backend/kernels.ts";
import type { Renewal } from "../backend/passes.ts";
import type { Dtype, Storage, View } from "../backend/storage.ts";
import { isWeightFormat, storedBytes, weightFormats } from "../backend/weight-formats.ts";
import { ShapeError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { Draw } from "../core/random.ts";
import type { Shape } from "../core/shape.ts";
import { elementCount, formatShape, resolveAxis } from "../core/shape.ts";
import { backward } from "./autograd.ts";
import type { TapeNode } from "./op.ts";
import { apply, record, willRecord } from "./op.ts";
import { add, affine, div, maximum, minimum, mul, sub, unary } from "./ops/elementwise.ts";
import { gatherRows, pick } from "./ops/indexing.ts";
import { matmul } from "./ops/matmul.ts";
import { permute, slice } from "./ops/movement.ts";
import { argmax, max, sum } from "./ops/reduce.ts";
import { logSoftmax, softmax } from "./ops/softmax.ts";
import { allocate, isKept, keep, release, unkeep } from "./scope.ts";

/** An operand that may be given as a plain number. */
export type Operand = Tensor | number;

/**
 * An n-dimensional array on a backend that remembers how it was made. Dense and row-major. Operations return at once;
 * only reading values (`read`, `item`) waits for them.
 */
export class Tensor implements View {
  readonly backend: Backend;
  /** The memory that holds the values; another one after {@link recall}. */
  storage: Storage;
  readonly offset: number;
  readonly shape: Shape;
  /** Set on leaves to be trained; follows from the inputs elsewhere. */
  requiresGrad = false;
  /** ∂loss/∂this of a leaf, summed over all backward passes since it was last cleared. */
  grad: Tensor | null = null;
  /** How this tensor was made, until `backward` has passed it. */
  node: TapeNode | null = null;
  /** Whether the values are to be computed once more, and what was kept for the gradient with them. */
  #forgotten: "no" | "values" | "all" = "no";

  constructor(backend: Backend, storage: Storage, shape: Shape, offset = 0) {
    this.backend = backend;
    this.storage = storage;
    this.shape = shape;
    this.offset = offset;
  }

  /** A tensor of the given values, in row-major order. Int32Array gives int32, everything else float32. */
  static from(backend: Backend, values: readonly number[] | Float32Array | Int32Array, shape: Shape): Tensor {
    if (values.length !== elementCount(shape)) {
      throw new ShapeError(`Tensor.from: ${values.length} values do not fill ${formatShape(shape)}`);
    }
    const data = Array.isArray(values) ? Float32Array.from(values) : (values as Float32Array | Int32Array);
    const tensor = Tensor.empty(backend, shape, data instanceof Int32Array ? "int32" : "float32");
    backend.write(tensor.storage, 0, data);
    return tensor;
  }

  /** {@link from} for integers that are others in each pass, so that the pass can be captured; see `PassCapture`. */
  static given(backend: Backend, values: Int32Array, shape: Shape, renew: Renewal | undefined): Tensor {
    if (!renew || !backend.passes) return Tensor.from(backend, values, shape);
    const tensor = Tensor.empty(backend, shape, "int32");
    backend.passes.write(tensor.storage, 0, values, renew);
    return tensor;
  }

  /** A tensor whose values are not set. */
  static empty(backend: Backend, shape: Shape, dtype: Dtype = "float32"): Tensor {
    return new Tensor(backend, allocate(backend, dtype, elementCount(shape)), shape);
  }

  /** A float32 tensor with `value` everywhere. */
  static full(backend: Backend, shape: Shape, value: number): Tensor {
    const tensor = Tensor.empty(backend, shape);
    backend.kernels.fill(tensor, value);
    return tensor;
  }

  /** A float32 tensor of standard normal numbers: a function of the draw, the same on every backend to rounding. */
  static normal(backend: Backend, shape: Shape, draw: Draw): Tensor {
    const tensor = Tensor.empty(backend, shape);
    backend.kernels.normal(draw, tensor);
    return tensor;
  }

  get dtype(): Dtype {
    return this.storage.dtype;
  }

  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape);
  }

  /** Length of one axis; −1 is the last. */
  axis(axis: number): number {
    return this.shape[resolveAxis("axis", axis, this.shape)] ?? 1;
  }

  /**
   * All values in row-major order, after everything launched so far. float32 (float64 on the exact reference), or int32.
   * Now and then the event loop turns before they are given, so that whatever computes in a loop and looks at what comes
   * of it leaves room for signals, timers and sockets.
   */
  async read(): Promise<Float32Array | Float64Array | Int32Array> {
    const values = await this.backend.read(this.storage, this.offset, this.size);
    await turnEventLoopWhenDue();
    return values;
  }

  /**
   * {@link read} as float32, rounded where the backend is exact. The array is the caller's own.
   *
   * @throws {ShapeError} for int32: ids and counts are not meant as numbers with a fraction.
   */
  async floats(): Promise<Float32Array> {
    if (this.dtype === "int32") throw new ShapeError(`floats: the tensor holds ${this.dtype}; use read() for integers`);
    const values = await this.read();
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /** The value of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: the tensor has ${this.size} elements, ${formatShape(this.shape)}`);
    return (await this.read())[0] ?? Number.NaN;
  }

  /** Replaces all values; in memory of a weight format, by the nearest it has, or by its own blocks as bytes. */
  write(values: Float32Array | Int32Array | Uint8Array): void {
    const isBytes = values instanceof Uint8Array;
    const length = isBytes ? storedBytes(this.dtype, this.size) : this.size;
    if (values.length !== length) {
      throw new ShapeError(`write: ${values.length} values do not fill ${formatShape(this.shape)}`);
    }
    this.backend.write(this.storage, this.offset, isBytes ? values : this.#encoded(values));
  }

  #encoded(values: Float32Array | Int32Array): Float32Array | Int32Array | Uint8Array {
    if (!isWeightFormat(this.dtype) || values instanceof Int32Array) return values;
    const raw = new Uint8Array(storedBytes(this.dtype, this.size));
    weightFormats[this.dtype].encode(`write ${formatShape(this.shape)}`, values, raw);
    return raw;
  }

  /** A tensor on the same backend whose values are not set. */
  blank(shape: Shape = this.shape, dtype: Dtype = "float32"): Tensor {
    return Tensor.empty(this.backend, shape, dtype);
  }

  /** A float32 tensor on the same backend with `value` everywhere. */
  filled(shape: Shape, value: number): Tensor {
    return Tensor.full(this.backend, shape, value);
  }

  /**
   * The same values in float32 memory of their own, off the tape.
   *
   * @throws {ShapeError} for int32, which no kernel copies.
   */
  copy(): Tensor {
    if (this.dtype === "int32") throw new ShapeError(`copy: holds ${this.dtype}, float32 is needed`);
    const out = this.blank();
    this.backend.kernels.decode(this, out);
    return out;
  }

  /** The same memory, off the tape: no gradient flows back through it. */
  detach(): Tensor {
    return new Tensor(this.backend, this.storage, this.shape, this.offset);
  }

  /** A dense stretch of the same memory from element `start` on, off the tape. */
  window(start: number, shape: Shape): Tensor {
    if (start < 0 || start + elementCount(shape) > this.size) {
      throw new ShapeError(
        `window: ${formatShape(shape)} from element ${start} is not within ${formatShape(this.shape)}`,
      );
    }
    return new Tensor(this.backend, this.storage, shape, this.offset + start);
  }

  /** Exempts this tensor from scopes and from `backward`'s clean-up: it lives until `release`, or until collected. */
  keep(): this {
    keep(this.backend, this.storage);
    return this;
  }

  /** Undoes {@link keep}: the scope that is open now gives the memory back, or `backward` once it has passed. */
  unkeep(): this {
    unkeep(this.backend, this.storage);
    return this;
  }

  /** Gives the memory back now. Tensors sharing it (`reshape`, `detach`) must not be used any more either. */
  release(): void {
    if (this.#forgotten === "no") release(this.backend, this.storage);
  }

  /**
   * Gives the memory back until the backward pass computes the values once more, where the op that made them can do so
   * cheaply, or no gradient looks at them: neither its own nor those of `readers`, all that was made of it. Does nothing
   * otherwise. Nothing but the backward pass may use this tensor, or one sharing its memory, afterwards.
   */
  forget(...readers: readonly Tensor[]): void {
    if (!this.node || this.node.isView || this.#forgotten !== "no") return;
    const { again, rerun, unread } = this.node;
    const isUnread = readers.length > 0 && readers.every(({ node }) => node?.unread.inputs) && unread.output;
    if (!again && !(isUnread && rerun)) return;
    this.release();
    this.#forgotten = "values";
  }

  /** As {@link forget}, whatever it costs to have the values again, and with what was kept beside them. */
  forgetAll(): void {
    const { node } = this;
    if (!node || isKept(this.storage) || !(node.rerun || node.isView)) return;
    if (!node.isView) this.release();
    for (const extra of node.auxiliary) {
      extra.release();
      extra.#forgotten = "all";
    }
    this.#forgotten = "all";
  }

  /** Whether what was kept beside the values is to be computed once more, with them. */
  get lacksAuxiliary(): boolean {
    return this.#forgotten === "all" && this.node !== null && this.node.auxiliary.length > 0;
  }

  /** Computes forgotten values once more: for the backward pass. */
  recall(): void {
    const { node } = this;
    if (!node || this.#forgotten === "no") return;
    for (const input of node.inputs) input?.recall();
    const wasAll = this.#forgotten === "all";
    this.#forgotten = "no";
    if (node.isView) {
      this.storage = node.inputs[0]?.storage ?? this.storage;
      return;
    }
    this.storage = allocate(this.backend, this.dtype, this.size);
    for (const extra of wasAll ? node.auxiliary : []) {
      extra.storage = allocate(extra.backend, extra.dtype, extra.size);
      extra.#forgotten = "no";
    }
    (wasAll ? node.rerun : (node.again ?? node.rerun))?.(this);
  }

  /** Adds ∂this/∂leaf to `grad` of every leaf that requires one, releasing activations on the way. */
  backward(): void {
    backward(this);
  }

  add(other: Operand): Tensor {
    return typeof other === "number"
      ? apply(affine, [this], { scale: 1, shift: other })
      : apply(add, [this, other], undefined);
  }
  sub(other: Operand): Tensor {
    return typeof other === "number" ? this.add(-other) : apply(sub, [this, other], undefined);
  }
  mul(other: Operand): Tensor {
    return typeof other === "number"
      ? apply(affine, [this], { scale: other, shift: 0 })
      : apply(mul, [this, other], undefined);
  }
  div(other: Operand): Tensor {
    return typeof other === "number" ? this.mul(1 / other) : apply(div, [this, other], undefined);
  }
  neg(): Tensor {
    return this.mul(-1);
  }
  maximum(other: Operand): Tensor {
    return apply(maximum, [this, this.#operand(other)], undefined);
  }
  minimum(other: Operand): Tensor {
    return apply(minimum, [this, this.#operand(other)], undefined);
  }
  /** Values below `low` become `low`, above `high` become `high`; the gradient there is 0. */
  clamp(low: number, high: number): Tensor {
    return this.maximum(low).minimum(high);
  }

  /** f(x) for one of the named functions. */
  map(kind: UnaryKind): Tensor {
    return apply(unary, [this], kind);
  }
  exp(): Tensor {
    return this.map("exp");
  }
  log(): Tensor {
    return this.map("log");
  }

  /** Sum over one axis, which disappears unless `keepAxis`; over everything, giving a scalar, without an axis. */
  sum(axis?: number, keepAxis = false): Tensor {
    if (axis === undefined) return apply(sum, [this.reshape([this.size])], { axis: 0, keepAxis: false });
    return apply(sum, [this], { axis: resolveAxis("sum", axis, this.shape), keepAxis });
  }
  /** Mean over one axis, or over everything. */
  mean(axis?: number, keepAxis = false): Tensor {
    return this.sum(axis, keepAxis).mul(1 / (axis === undefined ? this.size : this.axis(axis)));
  }
  /** Largest value along one axis. Gradient: to every element that equals it. */
  max(axis: number, keepAxis = false): Tensor {
    return apply(max, [this], { axis: resolveAxis("max", axis, this.shape), keepAxis });
  }
  /** int32 index of the largest element of each row of the last axis. */
  argmax(): Tensor {
    return apply(argmax, [this], undefined);
  }
  softmax(): Tensor {
    return apply(softmax, [this], undefined);
  }
  logSoftmax(): Tensor {
    return apply(logSoftmax, [this], undefined);
  }

  /** Matrix product over the last two axes, each operand transposed or not; leading axes are equal, or absent in one. */
  matmul(other: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
    return apply(matmul, [this, other], {
      transposeA: options.transposeA ?? false,
      transposeB: options.transposeB ?? false,
    });
  }
  /** Reorders the axes: axis i of the result is axis `order[i]` of this. */
  permute(order: readonly number[]): Tensor {
    return apply(permute, [this], { order });
  }
  /** Elements `start` ≤ i < `end` of one axis. */
  slice(axis: number, start: number, end: number): Tensor {
    return apply(slice, [this], { axis: resolveAxis("slice", axis, this.shape), start, end });
  }
  /** Rows of this table: ids int32 `[…]` → `[…, width]`. A negative id gives zeros. */
  gatherRows(ids: Tensor): Tensor {
    return apply(gatherRows, [this, ids], undefined);
  }
  /** One element of each row: x `[…, n]`, ids int32 `[…]` → `[…]`. A negative id gives 0. */
  pick(ids: Tensor): Tensor {
    return apply(pick, [this, ids], undefined);
  }

  /** The same elements under another shape, sharing memory. One length may be −1. */
  reshape(shape: Shape): Tensor {
    const known = shape.reduce((product, length) => (length === -1 ? product : product * length), 1);
    const resolved = shape.map((length) => (length === -1 ? this.size / known : length));
    if (elementCount(resolved) !== this.size || resolved.some((length) => !Number.isInteger(length) || length < 0)) {
      throw new ShapeError(`reshape: ${formatShape(this.shape)} does not fit ${formatShape(shape)}`);
    }
    const view = new Tensor(this.backend, this.storage, resolved, this.offset);
    if (willRecord([this]))
      record(view, [this], (dy) => [() => dy.reshape(this.shape)], {
        isView: true,
        unread: { inputs: true, output: true },
      });
    return view;
  }

  /** Sums the axes along which `shape` was broadcast to this tensor's shape. */
  sumTo(shape: Shape): Tensor {
    const extra = this.shape.length - shape.length;
    let result: Tensor = this;
    for (let axis = 0; axis < this.shape.length; axis++) {
      if (axis < extra || (shape[axis - extra] === 1 && this.shape[axis] !== 1)) result = result.sum(axis, true);
    }
    return result.reshape(shape);
  }

  #operand(other: Operand): Tensor {
    return typeof other === "number" ? this.filled([], other) : other;
  }
}

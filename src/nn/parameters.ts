import type { Backend } from "../backend/kernels.ts";
import type { WeightFormatName } from "../backend/storage.ts";
import { storedBytes } from "../backend/weight-formats.ts";
import { ShapeError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { Shape } from "../core/shape.ts";
import { elementCount, formatShape } from "../core/shape.ts";
import { Tensor } from "../tensor/tensor.ts";

/** A tensor the optimizer may change. Every other tensor field of a model is a constant. */
export class Parameter extends Tensor {
  /** A kept tensor with unset values; in a weight format it is frozen. */
  static create(backend: Backend, shape: Shape, dtype: "float32" | WeightFormatName = "float32"): Parameter {
    const { storage } = Tensor.empty(backend, shape, dtype);
    const parameter = new Parameter(backend, storage, shape).keep();
    parameter.requiresGrad = dtype === "float32";
    return parameter;
  }

  /** One row of a table as a parameter of its own, `[1, width]`, in the table's memory: to train it changes the table. */
  static rowOf(table: Tensor, row: number): Parameter {
    const width = table.axis(1);
    const { storage, offset } = table.window(row * width, [1, width]);
    const parameter = new Parameter(table.backend, storage, [1, width], offset);
    parameter.requiresGrad = true;
    return parameter;
  }
}

/**
 * Every parameter of a model, by its path through the model's fields: `blocks.0.attention.qkv.weight`. The order is that
 * in which the fields were assigned. A parameter reachable by two paths appears under the first.
 */
export function parameters(model: object): Map<string, Parameter> {
  return partsOf(model, (value) => value instanceof Parameter);
}

/** Every part of one kind of a model, such as its linear layers, as {@link parameters}. */
export function partsOf<Part extends object>(
  model: object,
  isPart: (value: object) => value is Part,
): Map<string, Part> {
  const found = new Map<string, Part>();
  const seen = new Set<object>();
  const walk = (container: object, path: string): void => {
    for (const [name, value] of Object.entries(container)) {
      if (typeof value !== "object" || value === null || seen.has(value)) continue;
      if (isPart(value)) found.set(path + name, value);
      seen.add(value);
      if (isContainer(value)) walk(value, `${path}${name}.`);
    }
  };
  walk(model, "");
  return found;
}

/** Those {@link parameters} that are to be trained: all but frozen ones. */
export function trainedParameters(model: object): Map<string, Parameter> {
  return new Map([...parameters(model)].filter(([, { requiresGrad }]) => requiresGrad));
}

/** Number of trained numbers. */
export function parameterCount(model: object): number {
  return [...parameters(model).values()].reduce((count, parameter) => count + parameter.size, 0);
}

/** Bytes that the parameters of a model take in memory. */
export function parameterBytes(model: object): number {
  return [...parameters(model).values()].reduce((sum, { dtype, size }) => sum + storedBytes(dtype, size), 0);
}

/** Stops a model, or a part of one, from being trained. */
export function freeze<Model extends object>(model: Model): Model {
  for (const parameter of parameters(model).values()) parameter.requiresGrad = false;
  return model;
}

/** Layers, models and arrays of them; not tensors, typed arrays or a backend. */
function isContainer(value: object): boolean {
  return !(value instanceof Tensor || ArrayBuffer.isView(value) || value instanceof Map || "kernels" in value);
}

/**
 * Where new parameters live and how they start. Each takes the next draw of the generator, so the order of a model's
 * constructor decides its numbers. Without a generator values stay unset, for a model about to be loaded.
 */
export class Initializer {
  readonly backend: Backend;
  readonly #random: Random | null;
  readonly #formats: readonly (WeightFormatName | null)[];
  readonly #matrices: Parameter[] = [];
  #numbersLeft: number;

  /**
   * `mostNumbers` bounds what is made in all, for sizes that were read from a file and may be nonsense. `formats` are those
   * of the matrices in the order in which they are made; null, and all beyond the list, are float32.
   */
  constructor(
    backend: Backend,
    random: Random | null,
    mostNumbers: number = Number.POSITIVE_INFINITY,
    formats: readonly (WeightFormatName | null)[] = [],
  ) {
    this.backend = backend;
    this.#random = random;
    this.#numbersLeft = mostNumbers;
    this.#formats = formats;
  }

  /** All that {@link matrix} has made, in order. */
  get matrices(): readonly Parameter[] {
    return this.#matrices;
  }

  /**
   * {@link normal} of a matrix, or a stack of them, that nothing but products and gathers read: it may lie in a weight
   * format, and is frozen then.
   *
   * @throws {ShapeError} when the bound is reached.
   */
  matrix(shape: Shape, standardDeviation: number): Parameter {
    const parameter = this.#normal(shape, standardDeviation, this.#formats[this.#matrices.length] ?? "float32");
    this.#matrices.push(parameter);
    return parameter;
  }

  /**
   * Normal numbers with mean 0.
   *
   * @throws {ShapeError} when the bound is reached.
   */
  normal(shape: Shape, standardDeviation: number): Parameter {
    return this.#normal(shape, standardDeviation, "float32");
  }

  #normal(shape: Shape, standardDeviation: number, dtype: "float32" | WeightFormatName): Parameter {
    const parameter = this.#create(shape, dtype);
    if (this.#random) parameter.write(this.#random.normal(elementCount(shape), standardDeviation));
    return parameter;
  }

  /**
   * The same number everywhere.
   *
   * @throws {ShapeError} when the bound is reached.
   */
  constant(shape: Shape, value: number): Parameter {
    const parameter = this.#create(shape);
    this.backend.kernels.fill(parameter, value);
    return parameter;
  }

  #create(shape: Shape, dtype: "float32" | WeightFormatName = "float32"): Parameter {
    this.#numbersLeft -= elementCount(shape);
    if (this.#numbersLeft >= 0) return Parameter.create(this.backend, shape, dtype);
    throw new ShapeError(`the model is far larger than its weights: ${formatShape(shape)} is more than they can fill`);
  }
}

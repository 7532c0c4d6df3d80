/** An array of jax-js. Every use gives up one reference; `ref` takes another. */
export interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(axes?: readonly number[]): JaxArray;
  dispose(): void;
  jsAsync(): Promise<unknown>;
}

/** Arrays in nested objects and lists. */
export type Tree = JaxArray | readonly Tree[] | { readonly [name: string]: Tree };

/** The part of `@jax-js/jax` that the peer uses. */
export interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): unknown;
  blockUntilReady(tree: Tree): Promise<unknown>;
  jit<Args extends readonly unknown[], Result>(f: (...args: Args) => Result): (...args: Args) => Result;
  valueAndGrad<First, Rest extends readonly unknown[]>(
    f: (first: First, ...rest: Rest) => JaxArray,
  ): (first: First, ...rest: Rest) => [JaxArray, First];
  readonly numpy: {
    array(values: Float32Array | number): JaxArray;
    ones(shape: readonly number[]): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    minimum(a: JaxArray | number, b: JaxArray | number): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    split(x: JaxArray, sections: number, axis: number): JaxArray[];
    sqrt(x: JaxArray): JaxArray;
  };
  readonly nn: {
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
    logSoftmax(x: JaxArray): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
  };
  readonly tree: {
    ref<T>(tree: T): T;
    leaves(tree: unknown): JaxArray[];
    flatten<T>(tree: T): [JaxArray[], TreeDefinition<T>];
    unflatten<T>(definition: TreeDefinition<T>, leaves: readonly JaxArray[]): T;
    map<T>(f: (leaf: JaxArray) => JaxArray, tree: T): T;
  };
}

/** How to put the leaves of a `T` together again. */
export interface TreeDefinition<T> {
  readonly shapeOf?: T;
}

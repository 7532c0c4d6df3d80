import { ShapeError } from "./errors.ts";

/** Lengths of a tensor's axes, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const length of shape) count *= length;
  return count;
}

/** `[2, 3]`, as it appears in messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are the same, axis by axis. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Elements to skip for one step along each axis of a dense row-major array. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis] ?? 1;
  }
  return strides;
}

/**
 * Strides with which `shape` is read as `target`: right-aligned, 0 along every broadcast axis.
 * Shapes: `[3]` read as `[2, 3]` → `[0, 1]`.
 */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = rowMajorStrides(shape);
  const shift = target.length - shape.length;
  return target.map((_, axis) => (axis < shift || shape[axis - shift] === 1 ? 0 : (own[axis - shift] ?? 0)));
}

/**
 * The shape two operands have together under NumPy's broadcasting rule.
 *
 * @throws {ShapeError} naming `op` and both shapes, when an axis differs and neither length is 1.
 */
export function broadcastShape(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a[axis - rank + a.length] ?? 1;
    const n = b[axis - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${op}: cannot broadcast ${formatShape(a)} with ${formatShape(b)}: axis ${axis} is ${m} and ${n}`,
      );
    }
    return m === 1 ? n : m;
  });
}

/**
 * Turns an axis that may count from the end (−1 is the last) into one that counts from the start.
 *
 * @throws {ShapeError} when the axis does not exist.
 */
export function resolveAxis(op: string, axis: number, shape: Shape): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(resolved) || resolved < 0 || resolved >= shape.length) {
    throw new ShapeError(`${op}: axis ${axis} does not exist in ${formatShape(shape)}`);
  }
  return resolved;
}

import type { Backend } from "../backend/kernels.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { Picture } from "../images/picture.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { indexOfLargest } from "./task-metrics.ts";

/** A picture that has to be named: what it is called, and what kind of thing it is. */
export interface Named {
  readonly text: string;
  readonly category: string | null;
}

/** How well pictures are named, as shares of all. */
export interface Retrieval {
  /** The right name comes first among all names. */
  readonly "r@1": number;
  /** It is one of the first five. */
  readonly "r@5": number;
  /** What comes first is of the right category; absent where there are none. */
  readonly category?: number;
}

/**
 * How well pictures find their names among the names of all: R@K, the share whose own is one of the K most similar.
 *
 * @param similarities - Of each picture, to each name: to see them, a function of the picture's number.
 * @param names - The names, all different, and their categories.
 * @param own - The number of each picture's name.
 */
export async function retrieval(
  similarities: (picture: number) => ArrayLike<number>,
  names: readonly Named[],
  own: readonly number[],
): Promise<Retrieval> {
  let [first, five, category] = [0, 0, 0];
  for (const [picture, right] of own.entries()) {
    await turnEventLoopWhenDue();
    const values = similarities(picture);
    const rank = rankOf(values, right);
    if (rank < 1) first++;
    if (rank < 5) five++;
    if (names[indexOfLargest(values)]?.category === names[right]?.category) category++;
  }
  const share = (count: number): number => count / own.length;
  const hasCategories = own.every((right) => (names[right]?.category ?? null) !== null);
  return { "r@1": share(first), "r@5": share(five), ...(hasCategories && { category: share(category) }) };
}

/** How many come before one. Those as similar count as if they did: what makes all alike finds nothing. */
function rankOf(values: ArrayLike<number>, right: number): number {
  const target = values[right] ?? Number.NEGATIVE_INFINITY;
  let rank = -1; // itself
  for (let i = 0; i < values.length; i++) if ((values[i] ?? 0) >= target) rank++;
  return rank;
}

/**
 * What needs no learning: each picture gets the names of known pictures in the order of their distance, pixel by pixel.
 * The similarity of a name is minus the squared distance of the nearest picture that has it, −∞ where none has.
 *
 * @param names - Number of each known picture's name.
 * @returns What {@link retrieval} takes, of names `count` in all.
 */
export async function nearestByPixels(
  backend: Backend,
  asked: readonly Picture[],
  known: readonly Picture[],
  names: readonly number[],
  count: number,
): Promise<(picture: number) => Float32Array> {
  const best = asked.map(() => new Float32Array(count).fill(Number.NEGATIVE_INFINITY));
  const [a, b] = [asked.map(squares), known.map(squares)];
  for (let i = 0; i < asked.length; i += chunk) {
    for (let j = 0; j < known.length; j += chunk) {
      await turnEventLoopWhenDue();
      const [some, others] = [asked.slice(i, i + chunk), known.slice(j, j + chunk)];
      const products = tensorScope(() => rowsOf(backend, some).matmul(rowsOf(backend, others), { transposeB: true }));
      const values = await products.floats();
      products.release();
      for (const [at, product] of values.entries()) {
        const [row, column] = [i + Math.floor(at / others.length), j + (at % others.length)];
        const [own, name = -1] = [best[row], names[column]];
        const similarity = 2 * product - (a[row] ?? 0) - (b[column] ?? 0);
        if (own && name >= 0) own[name] = Math.max(own[name] ?? 0, similarity);
      }
    }
  }
  return (picture) => best[picture] ?? new Float32Array(count);
}

/** Pictures that are compared at once. */
const chunk = 512;

function squares({ bytes }: Picture): number {
  return bytes.reduce((sum, value) => sum + (value / 255) ** 2, 0);
}

function rowsOf(backend: Backend, pictures: readonly Picture[]): Tensor {
  const size = pictures[0]?.bytes.length ?? 0;
  const values = new Float32Array(pictures.length * size);
  for (const [i, { bytes }] of pictures.entries()) {
    for (let at = 0; at < size; at++) values[i * size + at] = (bytes[at] ?? 0) / 255;
  }
  return Tensor.from(backend, values, [pictures.length, size]);
}

/**
 * What tells a model where tokens stand without being learned: for position p and dimension i of the first half
 * sin(p / 10000^(2i / width)), of the second half the cosine of the same. The paper has sines and cosines in turn; a
 * model that learns does not notice the order.
 *
 * Shapes: → `[count, width]`, of positions `start`, `start` + 1, ….
 *
 * @see Vaswani et al. (2017), section 3.5, arXiv:1706.03762.
 */
export function sinePositions(start: number, count: number, width: number): Float32Array {
  const half = Math.ceil(width / 2);
  return Float32Array.from({ length: count * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    const i = column < half ? column : column - half;
    const angle = (start + row) / 10_000 ** ((2 * i) / width);
    return column < half ? Math.sin(angle) : Math.cos(angle);
  });
}

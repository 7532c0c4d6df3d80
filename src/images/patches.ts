/**
 * Values of a square picture, `[size, size, 3]`, as its patches by rows, each all of red by rows, then green, then blue,
 * which is how the weights of a convolution over them lie.
 *
 * @param to - Receives `[(size / patchSize)², 3 · patchSize²]` from `offset` on.
 */
export function writePatches(
  values: Float32Array,
  size: number,
  patchSize: number,
  to: Float32Array,
  offset: number,
): void {
  const across = size / patchSize;
  let at = offset;
  for (let patch = 0; patch < across * across; patch++) {
    const [left, top] = [(patch % across) * patchSize, Math.floor(patch / across) * patchSize];
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < patchSize; y++) {
        const from = ((top + y) * size + left) * 3 + c;
        for (let x = 0; x < patchSize; x++) to[at++] = values[from + 3 * x] ?? 0;
      }
    }
  }
}

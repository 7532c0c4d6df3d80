/**
 * Rows of float32 numbers as a NumPy file, `[rows, width]`.
 *
 * @see "NPY format", version 1.0, of NumPy's documentation.
 */
export function npyBytes(rows: readonly Float32Array[], width: number): Uint8Array {
  const about = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${width}), }`;
  const prefix = 10;
  const length = Math.ceil((prefix + about.length + 1) / 64) * 64 - prefix;
  const start = prefix + length;
  const bytes = new Uint8Array(start + 4 * rows.length * width);
  const view = new DataView(bytes.buffer);
  const text = new TextEncoder();
  bytes.set([0x93, ...text.encode("NUMPY"), 1, 0]);
  view.setUint16(8, length, true);
  bytes.set(text.encode(`${about.padEnd(length - 1)}\n`), prefix);
  rows.forEach((row, i) => {
    row.forEach((value, j) => {
      view.setFloat32(start + 4 * (i * width + j), value, true);
    });
  });
  return bytes;
}

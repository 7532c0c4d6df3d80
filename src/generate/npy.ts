/** Rows whose bytes are handed over together. */
const rowsOfPiece = 256;

/**
 * Rows of float32 numbers as a NumPy file, `[rows, width]`, piece by piece.
 *
 * @see "NPY format", version 1.0, of NumPy's documentation.
 */
export function* npyPieces(rows: readonly Float32Array[], width: number): Generator<Uint8Array, void, undefined> {
  yield header(rows.length, width);
  for (let first = 0; first < rows.length; first += rowsOfPiece) {
    const some = rows.slice(first, first + rowsOfPiece);
    const view = new DataView(new ArrayBuffer(4 * some.length * width));
    for (const [i, row] of some.entries()) {
      for (const [j, value] of row.entries()) view.setFloat32(4 * (i * width + j), value, true);
    }
    yield new Uint8Array(view.buffer);
  }
}

function header(rows: number, width: number): Uint8Array {
  const about = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${width}), }`;
  const prefix = 10;
  const length = Math.ceil((prefix + about.length + 1) / 64) * 64 - prefix;
  const bytes = new Uint8Array(prefix + length);
  const text = new TextEncoder();
  bytes.set([0x93, ...text.encode("NUMPY"), 1, 0]);
  new DataView(bytes.buffer).setUint16(8, length, true);
  bytes.set(text.encode(`${about.padEnd(length - 1)}\n`), prefix);
  return bytes;
}

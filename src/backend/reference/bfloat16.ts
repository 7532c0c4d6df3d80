const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);

/** The nearest bfloat16 (8 bits of mantissa) to a number; of two equally near, the one whose last bit is 0. */
export function roundToBfloat16(x: number): number {
  number[0] = x;
  if (Number.isNaN(x)) return x;
  const word = bits[0]!;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return number[0];
}

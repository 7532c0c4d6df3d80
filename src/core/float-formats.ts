/**
 * Conversions between float32 and the 16-bit formats, as integer operations on bit patterns. All round to nearest,
 * ties to even; NaN stays NaN, and ±0, ±∞ and subnormal numbers are exact.
 */

/** The bits of a float32 array, sharing its memory. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** bfloat16 → float32, exact. Arrays have the same length. */
export function fromBfloat16(from: Uint16Array, to: Float32Array): void {
  const bits = bitsOf(to);
  for (let i = 0; i < from.length; i++) bits[i] = (from[i] as number) << 16;
}

/** float32 → bfloat16. Arrays have the same length. */
export function toBfloat16(from: Float32Array, to: Uint16Array): void {
  const bits = bitsOf(from);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i] as number;
    // Adding just under half of the last kept bit, and that bit itself, carries exactly when rounding goes up.
    const rounded = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
    // NaN must keep a fraction bit: setting the quiet bit is what every CPU does.
    to[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : rounded;
  }
}

let float16Bits: Uint32Array | null = null;

/** float16 → float32, exact. Arrays have the same length. */
export function fromFloat16(from: Uint16Array, to: Float32Array): void {
  float16Bits ??= Uint32Array.from({ length: 0x10000 }, (_, half) => float16ToBits(half));
  const table = float16Bits;
  const bits = bitsOf(to);
  for (let i = 0; i < from.length; i++) bits[i] = table[from[i] as number] as number;
}

/** float32 → float16. Arrays have the same length. Returns how many finite values were too large and became ±∞. */
export function toFloat16(from: Float32Array, to: Uint16Array): number {
  const bits = bitsOf(from);
  let overflows = 0;
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i] as number;
    const magnitude = x & 0x7fffffff;
    const half = magnitudeToFloat16(magnitude);
    if (half === 0x7c00 && magnitude < 0x7f800000) overflows++;
    to[i] = half | ((x >>> 16) & 0x8000);
  }
  return overflows;
}

const scratch = new Float32Array(1);
const scratchHalf = new Uint16Array(1);

/** float16 bits of one number. */
export function float16Of(value: number): number {
  scratch[0] = value;
  toFloat16(scratch, scratchHalf);
  return scratchHalf[0] as number;
}

/** The number that float16 bits stand for. */
export function float16Value(half: number): number {
  scratchHalf[0] = half;
  fromFloat16(scratchHalf, scratch);
  return scratch[0] as number;
}

/** Float16 bits of a non-negative float32, given by its bits. */
function magnitudeToFloat16(magnitude: number): number {
  if (magnitude > 0x7f800000) return 0x7e00 | ((magnitude >>> 13) & 0x1ff); // NaN
  if (magnitude >= 0x47800000) return 0x7c00; // 2¹⁶ and above
  // Moving the exponent from bias 127 to 15, then rounding as for bfloat16; a carry may reach ∞, as it should.
  if (magnitude >= 0x38800000) return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
  // Below 2⁻¹⁴ a float16 counts multiples of 2⁻²⁴.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return 0; // below 2⁻²⁵, half of the smallest
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  return (fraction + (1 << (shift - 1)) - 1 + ((fraction >>> shift) & 1)) >>> shift;
}

function float16ToBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0; // ∞ and NaN
  if (exponent > 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // Subnormal: shift the leading one up to the implicit place.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

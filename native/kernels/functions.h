#pragma once

#include "kernels/vector.h"

/**
 * Elementary functions of float32 vectors, each within about 2 units in the last place, with the limits at infinity
 * and with NaN passed on. Polynomials are minimax fits on the intervals named beside them.
 */
namespace stemma::STEMMA_ISA {

/** 2ⁿ · x for whole n in [-300, 300], denormal results and overflow to infinity included. */
STEMMA_INLINE Vec scaleByPowerOfTwo(Vec x, Vec wholeN, IntVec n) {
#if defined(__AVX512F__)
  (void)n;
  return (Vec)_mm512_scalef_ps((__m512)x, (__m512)wholeN);
#else
  (void)wholeN;
  // Two factors, since 2ⁿ alone leaves the range of floats before the product does.
  IntVec half = n >> 1;
  return x * floatOf((half + 127) << 23) * floatOf((n - half + 127) << 23);
#endif
}

/** eˣ: x = n·ln 2 + r with |r| ≤ ln 2 / 2. */
STEMMA_INLINE Vec exp(Vec x) {
  x = min(broadcast(90.0f), max(broadcast(-105.0f), x));
  // Adding 1.5·2²³ leaves the nearest integer in the low bits of the sum.
  const float magic = 12582912.0f;
  Vec shifted = fma(x, broadcast(1.44269504f), broadcast(magic));
  Vec n = shifted - magic;
  Vec r = fma(n, broadcast(-1.42860677e-6f), fma(n, broadcast(-0.693145752f), x));
  Vec q = broadcast(1.381461043e-3f);
  q = fma(q, r, broadcast(8.368710056e-3f));
  q = fma(q, r, broadcast(4.166838899e-2f));
  q = fma(q, r, broadcast(1.666652113e-1f));
  q = fma(q, r, broadcast(4.999999404e-1f));
  Vec power = fma(q * r, r, r) + 1.0f;
  return scaleByPowerOfTwo(power, n, bitsOf(shifted) - 0x4b400000);
}

/** Natural logarithm: -infinity at 0, NaN below. x = 2ᵉ·(1 + f) with 1 + f in [√½, √2]. */
STEMMA_INLINE Vec log(Vec x) {
  IntVec isTiny = x < 1.17549435e-38f;
  Vec scaled = select(isTiny, x * 8388608.0f, x);
  // Subtracting √½ makes the exponent field count from there.
  IntVec offset = bitsOf(scaled) - 0x3f3504f3;
  IntVec exponent = (offset >> 23) - (isTiny & 23);
  Vec f = floatOf((offset & 0x007fffff) + 0x3f3504f3) - 1.0f;
  Vec q = broadcast(6.746591628e-2f);
  q = fma(q, f, broadcast(-1.167563871e-1f));
  q = fma(q, f, broadcast(1.188817769e-1f));
  q = fma(q, f, broadcast(-1.240559220e-1f));
  q = fma(q, f, broadcast(1.421955079e-1f));
  q = fma(q, f, broadcast(-1.666799635e-1f));
  q = fma(q, f, broadcast(2.000211924e-1f));
  q = fma(q, f, broadcast(-2.500000894e-1f));
  q = fma(q, f, broadcast(3.333331347e-1f));
  Vec e = toFloat(exponent);
  Vec square = f * f;
  Vec small = fma(q * f, square, fma(e, broadcast(1.42860677e-6f), square * -0.5f));
  Vec result = fma(e, broadcast(0.693145752f), f + small);
  const Vec infinity = broadcast(__builtin_inff());
  result = select(x == infinity, x, result);
  result = select(x == broadcast(0.0f), -infinity, result);
  return select(x >= broadcast(0.0f), result, broadcast(__builtin_nanf("")));
}

/** 1 / (1 + e⁻ˣ). */
STEMMA_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

/** tanh x: an odd polynomial for |x| < 0.625, else 1 - 2 / (e²ˣ + 1). */
STEMMA_INLINE Vec tanh(Vec x) {
  Vec size = abs(x);
  Vec square = x * x;
  Vec q = broadcast(-5.708781537e-3f);
  q = fma(q, square, broadcast(2.064234391e-2f));
  q = fma(q, square, broadcast(-5.374066532e-2f));
  q = fma(q, square, broadcast(1.333145350e-1f));
  q = fma(q, square, broadcast(-3.333328366e-1f));
  Vec near = fma(q * square, x, x);
  Vec far = 1.0f - 2.0f / (exp(size + size) + 1.0f);
  far = floatOf(bitsOf(far) | (bitsOf(x) & (int32_t)0x80000000));
  return select(size < 0.625f, near, far);
}

/** erf x: an odd polynomial for |x| < 1, else 1 - e^(-g(|x|)) with g = -log(1 - erf) on [1, 4]. */
STEMMA_INLINE Vec erf(Vec x) {
  Vec size = abs(x);
  Vec square = x * x;
  Vec p = broadcast(7.853854913e-5f);
  p = fma(p, square, broadcast(-8.010191377e-4f));
  p = fma(p, square, broadcast(5.188327283e-3f));
  p = fma(p, square, broadcast(-2.685381100e-2f));
  p = fma(p, square, broadcast(1.128358543e-1f));
  p = fma(p, square, broadcast(-3.761262596e-1f));
  p = fma(p, square, broadcast(1.128379107f));
  Vec t = min(broadcast(4.0f), size);
  Vec g = broadcast(-1.888236147e-4f);
  g = fma(g, t, broadcast(2.972441958e-3f));
  g = fma(g, t, broadcast(-2.194043063e-2f));
  g = fma(g, t, broadcast(1.033273488e-1f));
  g = fma(g, t, broadcast(6.378830671e-1f));
  g = fma(g, t, broadcast(1.127251506f));
  g = fma(g, t, broadcast(3.004283644e-4f));
  Vec far = 1.0f - exp(-g);
  far = floatOf(bitsOf(far) | (bitsOf(x) & (int32_t)0x80000000));
  return select(size < 1.0f, p * x, far);
}

}  // namespace stemma::STEMMA_ISA

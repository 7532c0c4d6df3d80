#pragma once

#include "kernels/vector.h"

/** Vectors of doubles, of whose products and sums each is rounded by itself, as JavaScript rounds them. */
namespace stemma::STEMMA_ISA {

typedef double DoubleVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));
typedef int64_t LongVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));
typedef double UnalignedDoubleVec __attribute__((vector_size(STEMMA_VECTOR_BYTES), aligned(8), may_alias));

constexpr int kDoubleLanes = STEMMA_VECTOR_BYTES / 8;

typedef float HalfVec __attribute__((vector_size(STEMMA_VECTOR_BYTES / 2), aligned(4), may_alias));

STEMMA_INLINE DoubleVec loadDoubles(const double* from) { return *(const UnalignedDoubleVec*)from; }
STEMMA_INLINE void storeDoubles(double* to, DoubleVec x) { *(UnalignedDoubleVec*)to = x; }
STEMMA_INLINE DoubleVec broadcastDouble(double x) { return x - DoubleVec{}; }

/** kDoubleLanes neighbouring floats as doubles. */
STEMMA_INLINE DoubleVec widen(const float* from) { return __builtin_convertvector(*(const HalfVec*)from, DoubleVec); }

/** Keeps a product from becoming one with the sum that it is a part of. */
STEMMA_INLINE DoubleVec rounded(DoubleVec x) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(x));
#elif defined(__x86_64__)
  __asm__("" : "+x"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#else
  volatile DoubleVec kept = x;
  x = kept;
#endif
  return x;
}

/** a · b + c, rounded twice. */
STEMMA_INLINE DoubleVec multiplyThenAdd(DoubleVec a, double b, double c) { return rounded(a * b) + c; }

/** The largest whole number that is not above x, for |x| < 2⁵¹. */
STEMMA_INLINE DoubleVec floorOf(DoubleVec x) {
  const double magic = 6755399441055744.0;  // 1.5 · 2⁵²: beside it there is no room for a fraction
  const DoubleVec nearest = rounded(x + magic) - magic;
  const LongVec isAbove = nearest > x;
  return nearest - (isAbove ? broadcastDouble(1) : DoubleVec{});
}

STEMMA_INLINE double sumLanes(DoubleVec x) {
  double sum = 0;
  for (int i = 0; i < kDoubleLanes; i++) sum += x[i];
  return sum;
}

}  // namespace stemma::STEMMA_ISA

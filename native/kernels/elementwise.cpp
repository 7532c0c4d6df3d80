#include "kernels/elementwise.h"

#include "kernels/parallel.h"
#include "kernels/philox.h"
#include "kernels/vector.h"
#include "kernels/walk.h"

namespace stemma::STEMMA_ISA {

constexpr int64_t kGrain = 16384;

void fill(float* out, float value, int64_t length, int threads) {
  parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
    forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + begin + i, broadcast(value), count);
    });
  });
}

/** out = scale · x + shift; out may be x. */
void affine(const float* x, float scale, float shift, float* out, int64_t length, int threads) {
  if (scale == 1.0f && shift == 0.0f && out == x) return;
  parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
    forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + begin + i, fma(loadSome(x + begin + i, count), broadcast(scale), broadcast(shift)), count);
    });
  });
}

/** out += x; out may be x. */
void accumulate(const float* x, float* out, int64_t length, int threads) {
  parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
    forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + begin + i, loadSome(out + begin + i, count) + loadSome(x + begin + i, count), count);
    });
  });
}

/** out = condition ≠ 0 ? a : b. */
void selectWhere(const float* condition, const float* a, const float* b, float* out, int64_t length, int threads) {
  parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
    forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      IntVec chosen = loadSome(condition + begin + i, count) != Vec{};
      Vec value = select(chosen, loadSome(a + begin + i, count), loadSome(b + begin + i, count));
      storeSome(out + begin + i, value, count);
    });
  });
}

/** out[i] = word[i] < rate · 2³² ? 0 : x[i] / (1 − rate); out may be x. */
void dropout(const float* x, double rate, const Draw& draw, float* out, int64_t length, int threads) {
  constexpr int64_t kPiece = 1024;
  static_assert(kPiece % kPhiloxWords == 0, "no block of words is made twice");
  parallel(threads, (length + kPiece - 1) / kPiece, [&](int64_t task, int) {
    const int64_t begin = task * kPiece, count = begin + kPiece < length ? kPiece : length - begin;
    float kept[kPiece];
    keptFactors(draw, rate, (uint64_t)begin, count, kept);
    forVectors(count, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      // Chosen, not multiplied: what is dropped may be anything.
      const Vec factor = loadSome(kept + i, some);
      storeSome(out + begin + i, select(factor == Vec{}, Vec{}, loadSome(x + begin + i, some) * factor), some);
    });
  });
}

template <BinaryKind kind>
STEMMA_INLINE Vec combine(Vec a, Vec b) {
  const Vec zero = {}, one = broadcast(1.0f);
  if constexpr (kind == BinaryKind::add) return a + b;
  if constexpr (kind == BinaryKind::sub) return a - b;
  if constexpr (kind == BinaryKind::mul) return a * b;
  if constexpr (kind == BinaryKind::div) return a / b;
  if constexpr (kind == BinaryKind::maximum) return select(a > b, a, select(a != a, a, b));
  if constexpr (kind == BinaryKind::minimum) return select(a < b, a, select(a != a, a, b));
  if constexpr (kind == BinaryKind::greater) return select(a > b, one, zero);
  if constexpr (kind == BinaryKind::greaterEqual) return select(a >= b, one, zero);
  if constexpr (kind == BinaryKind::equal) return select(a == b, one, zero);
}

/** One stretch of the innermost axis, along which each operand either advances or stands still. */
template <BinaryKind kind>
static void combineRow(const float* a, bool movesA, const float* b, bool movesB, float* out, int64_t length) {
  if (movesA && movesB) {
    forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + i, combine<kind>(loadSome(a + i, count), loadSome(b + i, count)), count);
    });
  } else if (movesA) {
    const Vec fixed = broadcast(*b);
    forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + i, combine<kind>(loadSome(a + i, count), fixed), count);
    });
  } else {
    const Vec fixed = broadcast(*a);
    forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + i, combine<kind>(fixed, movesB ? loadSome(b + i, count) : broadcast(*b)), count);
    });
  }
}

/** Drops axes of length 1 and joins neighbours that all operands walk as one. */
static Broadcast simplified(const Broadcast& walk) {
  Broadcast result = {};
  for (int axis = 0; axis < walk.rank; axis++) {
    const int64_t length = walk.shape[axis], a = walk.stridesA[axis], b = walk.stridesB[axis];
    if (length == 1) continue;
    int last = result.rank - 1;
    if (last >= 0 && result.stridesA[last] == a * length && result.stridesB[last] == b * length) {
      result.shape[last] *= length;
    } else {
      last = result.rank++;
      result.shape[last] = length;
    }
    result.stridesA[last] = a;
    result.stridesB[last] = b;
  }
  if (result.rank == 0) {
    result.rank = 1;
    result.shape[0] = 1;
  }
  return result;
}

template <BinaryKind kind>
static void combineAll(const Broadcast& walk, const float* a, const float* b, float* out, int threads) {
  const int inner = walk.rank - 1;
  const int64_t length = walk.shape[inner];
  const bool movesA = walk.stridesA[inner] != 0, movesB = walk.stridesB[inner] != 0;
  if (walk.rank == 1) {
    parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
      combineRow<kind>(a + (movesA ? begin : 0), movesA, b + (movesB ? begin : 0), movesB, out + begin, end - begin);
    });
    return;
  }
  int64_t rows = 1;
  for (int axis = 0; axis < inner; axis++) rows *= walk.shape[axis];
  parallelRows(threads, rows, length, [&](int64_t row) {
    const RowStarts at = rowStarts(row, walk.rank, walk.shape, walk.stridesA, walk.stridesB);
    combineRow<kind>(a + at.first, movesA, b + at.second, movesB, out + row * length, length);
  });
}

/** out = f(a, b) over a dense out; out may be an operand of the same shape. */
void binary(BinaryKind kind, const Broadcast& broadcast, const float* a, const float* b, float* out, int threads) {
  for (int axis = 0; axis < broadcast.rank; axis++)
    if (broadcast.shape[axis] == 0) return;
  const Broadcast walk = simplified(broadcast);
  const bool scales = walk.rank == 1 && walk.stridesB[0] == 0 && out == a;
  if (kind == BinaryKind::mul && scales && *b == 1.0f) return;  // a gradient scaled by a loss's own gradient of 1
  switch (kind) {
#define STEMMA_CASE(name) \
  case BinaryKind::name:  \
    return combineAll<BinaryKind::name>(walk, a, b, out, threads);
    STEMMA_CASE(add)
    STEMMA_CASE(sub)
    STEMMA_CASE(mul)
    STEMMA_CASE(div)
    STEMMA_CASE(maximum)
    STEMMA_CASE(minimum)
    STEMMA_CASE(greater)
    STEMMA_CASE(greaterEqual)
    STEMMA_CASE(equal)
#undef STEMMA_CASE
  }
}

}  // namespace stemma::STEMMA_ISA

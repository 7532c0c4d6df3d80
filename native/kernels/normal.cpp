#include "kernels/functions.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Numbers that one task makes: whole blocks of words. */
constexpr int64_t kPiece = 4096;
static_assert(kPiece % (2 * kPhiloxWords) == 0, "no block of words is made twice");

/** √(−2 log((word + 1) / 2³²)): for large words log1p of what is missing to 1, which is then known to its last bits. */
STEMMA_INLINE Vec radiusOf(WordVec word) {
  const IntVec isLarge = (IntVec)word < 0;
  const Vec missing = toFloat((IntVec)~word) * 2.3283064e-10f;
  const Vec rounded = 1.0f - missing, rest = rounded - 1.0f;
  const Vec share = select(isLarge, rounded, (toFloat((IntVec)word) + 1.0f) * 2.3283064e-10f);
  const Vec logarithm = log(share);
  // log(1 − m) of m that 1 − m rounds: by the slope of log there.
  const Vec fine = select(rest == Vec{}, -missing, logarithm * -missing / rest);
  return sqrt(-2.0f * select(isLarge, fine, logarithm));
}

/** cos and sin of 2π · word / 2³²: of the rest to the nearest quarter turn, at most π/4, by minimax polynomials. */
STEMMA_INLINE void turn(WordVec word, Vec& cosine, Vec& sine) {
  const WordVec quarter = (word + 0x20000000u) >> 30;
  const Vec angle = toFloat((IntVec)(word - (quarter << 30))) * 1.4629180793e-9f;
  const Vec square = angle * angle;
  Vec s = fma(broadcast(-1.9515295891e-4f), square, broadcast(8.3321608736e-3f));
  s = fma(s, square, broadcast(-1.6666654611e-1f));
  s = fma(s * square, angle, angle);
  Vec c = fma(broadcast(2.443315711809948e-5f), square, broadcast(-1.388731625493765e-3f));
  c = fma(c, square, broadcast(4.166664568298827e-2f));
  c = fma(c * square, square, fma(square, broadcast(-0.5f), broadcast(1.0f)));
  const IntVec isOdd = (IntVec)(quarter & 1) != 0;
  const IntVec sineSign = (IntVec)((quarter & 2) << 30), cosineSign = (IntVec)(((quarter + 1) & 2) << 30);
  sine = floatOf(bitsOf(select(isOdd, c, s)) ^ sineSign);
  cosine = floatOf(bitsOf(select(isOdd, s, c)) ^ cosineSign);
}

}  // namespace

/**
 * Standard normal numbers by the Box–Muller transform, each pair from two words of the draw: radius · cos(angle), radius ·
 * sin(angle). The same numbers as `Random.normal` of src/core/random.ts, to the rounding of float32.
 */
void normal(const Draw& draw, float* out, int64_t length, int threads) {
  parallel(threads, (length + kPiece - 1) / kPiece, [&](int64_t task, int) {
    const int64_t end = (task + 1) * kPiece < length ? (task + 1) * kPiece : length;
    uint32_t words[kPhiloxWords];
    float numbers[kPhiloxWords];
    for (int64_t at = task * kPiece; at < end; at += kPhiloxWords) {
      philoxWords(draw, (uint64_t)at / 4, words);
      for (int i = 0; i < kPhiloxWords; i += 2 * kLanes) {
        WordVec first, second;
        for (int lane = 0; lane < kLanes; lane++) {
          first[lane] = words[i + 2 * lane];
          second[lane] = words[i + 2 * lane + 1];
        }
        Vec cosine, sine;
        turn(second, cosine, sine);
        const Vec radius = radiusOf(first);
        store(numbers + i, interleaveLow(radius * cosine, radius * sine));
        store(numbers + i + kLanes, interleaveHigh(radius * cosine, radius * sine));
      }
      const int64_t left = end - at;
      if (left >= kPhiloxWords) memcpy(out + at, numbers, sizeof numbers);
      else memcpy(out + at, numbers, (size_t)left * sizeof(float));
    }
  });
}

}  // namespace stemma::STEMMA_ISA

#pragma once

#include "kernels/vector.h"

/**
 * Operands of matrix products come in units of four bytes. In float32 a unit is one number; in bfloat16 it is two
 * neighbours along k, and one instruction multiplies both pairs and adds them. Everything else is the same for both.
 */
namespace stemma::STEMMA_ISA {

/** How numbers lie in packed operands. */
enum class Format {
  float32,
  /** Pairs of bfloat16, for processors that multiply them. */
  bfloat16,
  /** float32 rounded to bfloat16: the same products, for processors that do not. */
  rounded,
  /** Pairs of bfloat16, kSquare at a time, for processors that multiply squares of them (see square.h). */
  squares,
};

/** Units that squares have along k. */
constexpr int64_t kSquare = 16;

#if defined(STEMMA_SQUARES)
constexpr bool kHasSquares = true;
#else
constexpr bool kHasSquares = false;
#endif

/**
 * How bfloat16 products are made where tiles are small or few, and where panels are packed. Processors with squares take
 * four times as long for the products of pairs as for those of as many floats, so that nothing is gained by pairs there.
 */
#if defined(STEMMA_SQUARES)
constexpr Format kBfloat16Format = Format::rounded;
constexpr Format kPackedBfloat16Format = Format::squares;
#elif defined(__AVX512BF16__)
constexpr Format kBfloat16Format = Format::bfloat16;
constexpr Format kPackedBfloat16Format = Format::bfloat16;
#else
constexpr Format kBfloat16Format = Format::rounded;
constexpr Format kPackedBfloat16Format = Format::rounded;
#endif

constexpr bool isPairs(Format format) { return format == Format::bfloat16 || format == Format::squares; }

/** Numbers along k in one unit. */
constexpr int64_t unitWidth(Format format) { return isPairs(format) ? 2 : 1; }

/** Units come in as many along k. */
constexpr int64_t unitRun(Format format) { return format == Format::squares ? kSquare : 1; }

/** Units that hold k numbers; what they do not hold is padded with zeros. */
constexpr int64_t unitsOf(Format format, int64_t k) {
  const int64_t run = unitWidth(format) * unitRun(format);
  return (k + run - 1) / run * unitRun(format);
}

/** Each number rounded to the nearest bfloat16, ties to even, as a float; NaN stays NaN. */
STEMMA_INLINE Vec roundToBfloat16(Vec x) {
  const IntVec bits = bitsOf(x);
  const IntVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & (int32_t)0xffff0000;
  return select(x == x, floatOf(rounded), x);
}

/** The units of one vector along a row of k contiguous numbers: kLanes units starting at number `at` of `k`. */
template <Format kFormat>
STEMMA_INLINE Vec unitsAlongRow(const float* row, int64_t at, int64_t k) {
  const int64_t left = k - at;
#if defined(__AVX512BF16__)
  if (isPairs(kFormat)) {
    const Vec first = left >= kLanes ? load(row + at) : loadPartial(row + at, left);
    const int64_t more = left - kLanes;
    const Vec second = more >= kLanes ? load(row + at + kLanes) : more > 0 ? loadPartial(row + at + kLanes, more) : Vec{};
    return (Vec)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  }
#endif
  const Vec x = left >= kLanes ? load(row + at) : loadPartial(row + at, left);
  return kFormat == Format::rounded ? roundToBfloat16(x) : x;
}

/** The units of kLanes columns, from the row or the two rows of numbers that make them. */
template <Format kFormat>
STEMMA_INLINE Vec unitsAcrossRows(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  if (isPairs(kFormat)) {
    const __m512i bothRows = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    IntVec pairs;  // (i, i + 16) in 16-bit places
    for (int i = 0; i < kLanes; i++) pairs[i] = i | (i + kLanes) << 16;
    return (Vec)_mm512_permutexvar_epi16((__m512i)pairs, bothRows);
  }
#endif
  (void)second;
  return kFormat == Format::rounded ? roundToBfloat16(first) : first;
}

/** sum + a · b, unit by unit; both numbers of a pair are multiplied and added. */
template <Format kFormat>
STEMMA_INLINE Vec multiplyAdd(Vec a, Vec b, Vec sum) {
#if defined(__AVX512BF16__)
  if (kFormat == Format::bfloat16) return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
  return fma(a, b, sum);
}

}  // namespace stemma::STEMMA_ISA

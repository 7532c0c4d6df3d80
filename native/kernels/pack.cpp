#include "kernels/pack.h"

#include "kernels/transpose.h"

namespace stemma::STEMMA_ISA {

namespace {

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
  if (kFormat == Format::bfloat16) {
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
  if (kFormat == Format::bfloat16) {
    const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)first));
    const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)second));
    return (Vec)_mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
#endif
  (void)second;
  return kFormat == Format::rounded ? roundToBfloat16(first) : first;
}

template <Format kFormat>
void packRowsOf(const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t units = unitsOf(kFormat, k);
  for (int64_t r = 0; r < rows; r++) {
    const float* row = x + r * rowStride;
    float* to = packed + r * units;
    forVectors(units, [&](int64_t u, int64_t count) {
      storeSome(to + u, unitsAlongRow<kFormat>(row, u * kWidth, k), count);
    });
  }
}

template <Format kFormat, int64_t kPanel>
void packColumnsOf(const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t units = unitsOf(kFormat, k);
  for (int64_t u = 0; u < units; u++) {
    const float* row = x + u * kWidth * rowStride;
    const bool hasSecond = kWidth == 2 && u * 2 + 1 < k;
    float* to = packed + u * kPanel;
    for (int64_t first = 0; first < width; first += kPanel, to += units * kPanel) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < kPanel; j += kLanes) {
        const int64_t room = kPanel - j < kLanes ? kPanel - j : kLanes;
        const int64_t left = width - first - j;
        const int64_t count = left < room ? (left > 0 ? left : 0) : room;
        const float* from = row + first + j;
        const Vec upper = loadSome(from, count);
        const Vec lower = hasSecond ? loadSome(from + rowStride, count) : Vec{};
        storeSome(to + j, unitsAcrossRows<kFormat>(upper, lower), room);
      }
    }
  }
}

template <Format kFormat>
void packTransposedOf(const float* x, int64_t rowStride, int64_t width, int64_t k, float* packed) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t units = unitsOf(kFormat, k);
  const int64_t padded = (width + kTileColumns - 1) / kTileColumns * kTileColumns;
  for (int64_t j = 0; j < padded; j += kLanes) {
    const int64_t rows = width - j < kLanes ? (width > j ? width - j : 0) : kLanes;
    float* const panel = packed + j / kTileColumns * units * kTileColumns + j % kTileColumns;
    const float* from = x + j * rowStride;
    for (int64_t u = 0; u < units; u += kLanes) {
      Vec square[kLanes];
      if (rows == kLanes) {
#pragma GCC unroll 16
        for (int r = 0; r < kLanes; r++) square[r] = unitsAlongRow<kFormat>(from + r * rowStride, u * kWidth, k);
      } else {
        for (int r = 0; r < kLanes; r++) {
          square[r] = r < rows ? unitsAlongRow<kFormat>(from + r * rowStride, u * kWidth, k) : Vec{};
        }
      }
      transposeSquare(square);
      const int64_t count = units - u < kLanes ? units - u : kLanes;
      float* to = panel + u * kTileColumns;
      if (count == kLanes) {
#pragma GCC unroll 16
        for (int r = 0; r < kLanes; r++) store(to + r * kTileColumns, square[r]);
      } else {
        for (int r = 0; r < count; r++) store(to + r * kTileColumns, square[r]);
      }
    }
  }
}

}  // namespace

void packRows(Format format, const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed) {
  if (format == Format::float32) packRowsOf<Format::float32>(x, rowStride, rows, k, packed);
  else packRowsOf<kBfloat16Format>(x, rowStride, rows, k, packed);
}

void packColumnsForRows(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  if (format == Format::float32) packColumnsOf<Format::float32, kTileRows>(x, rowStride, k, width, packed);
  else packColumnsOf<kBfloat16Format, kTileRows>(x, rowStride, k, width, packed);
}

void packColumns(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  if (format == Format::float32) packColumnsOf<Format::float32, kTileColumns>(x, rowStride, k, width, packed);
  else packColumnsOf<kBfloat16Format, kTileColumns>(x, rowStride, k, width, packed);
}

void packTransposed(Format format, const float* x, int64_t rowStride, int64_t width, int64_t k, float* packed) {
  if (format == Format::float32) packTransposedOf<Format::float32>(x, rowStride, width, k, packed);
  else packTransposedOf<kBfloat16Format>(x, rowStride, width, k, packed);
}

}  // namespace stemma::STEMMA_ISA

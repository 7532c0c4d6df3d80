#include "kernels/pack.h"

#include "kernels/transpose.h"
#include "kernels/units.h"

namespace stemma::STEMMA_ISA {

namespace {

constexpr int64_t kStripColumns = 48;

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

/** Writes `count` lanes, known to the compiler; twelve without a mask, which is slow to store by. */
STEMMA_INLINE void storeFirst(float* to, Vec x, int64_t count) {
#if defined(__AVX512F__)
  if (count == 12) {
    _mm256_storeu_ps(to, _mm512_castps512_ps256((__m512)x));
    _mm_storeu_ps(to + 8, _mm512_extractf32x4_ps((__m512)x, 2));
    return;
  }
#endif
  storeSome(to, x, count);
}

/** Some panels side by side, so that rows are read a few whole lines at a time and few lines are written at once. */
template <Format kFormat, int64_t kPanel>
STEMMA_INLINE void packStrip(const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t units = unitsOf(kFormat, k);
  for (int64_t u = 0; u < units; u++) {
    const float* row = x + u * kWidth * rowStride;
    const bool hasFirst = unitRun(kFormat) == 1 || u * kWidth < k;
    const bool hasSecond = kWidth == 2 && u * 2 + 1 < k;
    float* to = packed + u * kPanel;
    for (int64_t first = 0; first < width; first += kPanel, to += units * kPanel) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < kPanel; j += kLanes) {
        const int64_t room = kPanel - j < kLanes ? kPanel - j : kLanes;
        const int64_t left = width - first - j;
        const int64_t count = left < room ? (left > 0 ? left : 0) : room;
        const float* from = row + first + j;
        const Vec upper = hasFirst ? loadSome(from, count) : Vec{};
        const Vec lower = hasSecond ? loadSome(from + rowStride, count) : Vec{};
        storeFirst(to + j, unitsAcrossRows<kFormat>(upper, lower), room);
      }
    }
  }
}

template <Format kFormat, int64_t kPanel>
void packColumnsOf(const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  constexpr int64_t kStrip = kPanel * (kStripColumns > kPanel ? kStripColumns / kPanel : 1);
  const int64_t units = unitsOf(kFormat, k), whole = width / kStrip * kStrip;
  // Twice, so that the compiler sees a constant width in the main loop.
  for (int64_t j = 0; j < whole; j += kStrip) packStrip<kFormat, kPanel>(x + j, rowStride, k, kStrip, packed + j * units);
  if (whole < width) packStrip<kFormat, kPanel>(x + whole, rowStride, k, width - whole, packed + whole * units);
}

template <Format kFormat>
void packAcrossOf(float* x, int64_t rowStride, int64_t k, int64_t width) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  for (int64_t u = 0; u < unitsOf(kFormat, k); u++) {
    const float* row = x + u * kWidth * rowStride;
    const bool hasSecond = kWidth == 2 && u * 2 + 1 < k;
    forVectors(width, [&](int64_t j, int64_t count) STEMMA_EXPANDED {
      const Vec lower = hasSecond ? loadSome(row + rowStride + j, count) : Vec{};
      storeSome(x + u * rowStride + j, unitsAcrossRows<kFormat>(loadSome(row + j, count), lower), count);
    });
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

/** A format that the compiler knows. */
template <Format kFormat>
struct Packed {
  static constexpr Format format = kFormat;
};

/** Calls `body` with a format of this instruction set as a constant of the compiler. */
template <class Body>
STEMMA_INLINE void forPacked(Format format, Body&& body) {
  if (format == Format::float32) body(Packed<Format::float32>{});
  else if (format == kPackedBfloat16Format) body(Packed<kPackedBfloat16Format>{});
  else body(Packed<Format::rounded>{});
}

}  // namespace

void packRows(Format format, const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed) {
  forPacked(format, [&](auto as) { packRowsOf<as.format>(x, rowStride, rows, k, packed); });
}

void packColumnsForRows(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  forPacked(format, [&](auto as) { packColumnsOf<as.format, kTileRows>(x, rowStride, k, width, packed); });
}

void packAcross(Format format, float* x, int64_t rowStride, int64_t k, int64_t width) {
  if (format != Format::float32) packAcrossOf<kBfloat16Format>(x, rowStride, k, width);
}

void packColumns(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  forPacked(format, [&](auto as) { packColumnsOf<as.format, kTileColumns>(x, rowStride, k, width, packed); });
}

void packTransposed(Format format, const float* x, int64_t rowStride, int64_t width, int64_t k, float* packed) {
  forPacked(format, [&](auto as) { packTransposedOf<as.format>(x, rowStride, width, k, packed); });
}

}  // namespace stemma::STEMMA_ISA

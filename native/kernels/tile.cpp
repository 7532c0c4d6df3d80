#include "kernels/tile.h"

namespace stemma::STEMMA_ISA {

namespace {

using Tile = void (*)(TileRows a, const float* b, int64_t units, float* c, int64_t cStride, int64_t columns, bool add);

template <Format kFormat, int kRows>
void tile(TileRows a, const float* b, int64_t units, float* c, int64_t cStride, int64_t columns, bool add) {
  constexpr int kVectors = (int)kTileVectors;
  Vec sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
    __builtin_prefetch(c + r * cStride, 1);
    __builtin_prefetch(c + r * cStride + kTileColumns - 1, 1);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) sums[r][v] = Vec{};
  }
  // Three rows to a pointer: the address of each is then one base, one index and one scale.
  const float* bases[(kRows + 2) / 3];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r += 3) bases[r / 3] = a.data + r * a.rowStride;
  for (int64_t u = 0; u < units; u++) {
    Vec columnsOfB[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) columnsOfB[v] = load(b + v * kLanes);
    b += kTileColumns;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      const Vec row = broadcast(bases[r / 3][(r % 3) * a.rowStride]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) sums[r][v] = multiplyAdd<kFormat>(row, columnsOfB[v], sums[r][v]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r += 3) bases[r / 3] += a.unitStride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) {
      float* at = c + r * cStride + v * kLanes;
      const int64_t count = columns - v * kLanes;
      if (count >= kLanes) {
        store(at, add ? load(at) + sums[r][v] : sums[r][v]);
      } else if (count > 0) {
        storePartial(at, add ? loadPartial(at, count) + sums[r][v] : sums[r][v], count);
      }
    }
  }
}

template <Format kFormat>
struct Tiles {
  static constexpr Tile byRows[] = {
      tile<kFormat, 1>, tile<kFormat, 2>, tile<kFormat, 3>, tile<kFormat, 4>, tile<kFormat, 5>, tile<kFormat, 6>,
#if defined(__AVX512F__) || defined(__aarch64__)
      tile<kFormat, 7>, tile<kFormat, 8>, tile<kFormat, 9>, tile<kFormat, 10>, tile<kFormat, 11>, tile<kFormat, 12>,
#endif
  };
  static_assert(sizeof byRows / sizeof byRows[0] == kTileRows, "one tile for each number of rows");
};

}  // namespace

void tileProduct(Format format, TileRows a, const float* b, int64_t units, float* c, int64_t cStride, int64_t rows,
                 int64_t columns, bool add) {
  const Tile* const tiles = format == Format::float32 ? Tiles<Format::float32>::byRows : Tiles<kBfloat16Format>::byRows;
  tiles[rows - 1](a, b, units, c, cStride, columns, add);
}

}  // namespace stemma::STEMMA_ISA

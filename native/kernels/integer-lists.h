#pragma once

#include "kernels/integer-panels.h"

/** How products of integers find the lists of several rows, and the steps of a panel. */
namespace stemma::STEMMA_ISA {

/** Numbers along k in one lane: a step of a panel. */
constexpr int stepWidth(WeightFormat format) { return multipliesPairs(format) ? 2 : 4; }

/** Numbers that share a scale of a block of 256. */
constexpr int runLength(WeightFormat format) { return format == WeightFormat::q6_k ? 16 : 32; }

/** Lists of some rows: three rows to a pointer, so that the address of each is a base, an index and a scale. */
template <int kRows>
struct RowBases {
  const char* bases[(kRows + 2) / 3];
  int64_t stride;

  RowBases(const void* first, int64_t between) : stride(between) {
    for (int i = 0; i < kRows; i += 3) bases[i / 3] = (const char*)first + i * between;
  }
  template <class Number>
  Number number(int row, int64_t at) const {
    return loadAs<Number>(bases[row / 3] + (row % 3) * stride + at * (int64_t)sizeof(Number));
  }
};

/** Where the lists of a row lie, for some rows. */
template <WeightFormat kWeights, int kRows>
struct RowLists {
  RowBases<kRows> quants, scales, sums, starts, pairs;

  explicit RowLists(const PanelRows& rows)
      : quants(multipliesPairs(kWeights) ? (const void*)rows.first.wide : rows.first.quants, rows.stride),
        scales(rows.first.scales, rows.stride),
        sums(rows.first.sums, rows.stride),
        starts(rows.first.starts, rows.stride),
        pairs(rows.first.runPairs, rows.stride) {}
};

}  // namespace stemma::STEMMA_ISA

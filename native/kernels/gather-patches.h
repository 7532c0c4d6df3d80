#pragma once

#include "kernels/patches.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

/** Where in the matrix of patches a row or a column lies. */
struct PatchPlace {
  int64_t picture, row, column;
  PatchPlace(const Patches& p, int64_t index) {
    column = index % p.columns;
    row = index / p.columns % p.rows;
    picture = index / (p.columns * p.rows);
  }
  void next(const Patches& p) {
    if (++column < p.columns) return;
    column = 0;
    if (++row < p.rows) return;
    row = 0;
    picture++;
  }
};

/** Copies `count` numbers, or zeros where there is nothing to copy. */
STEMMA_INLINE void copyOrClear(const float* from, float* to, int64_t count) {
  if (from) {
    forVectors(count, [&](int64_t i, int64_t some) STEMMA_EXPANDED { storeSome(to + i, loadSome(from + i, some), some); });
  } else {
    forVectors(count, [&](int64_t i, int64_t some) STEMMA_EXPANDED { storeSome(to + i, Vec{}, some); });
  }
}

/**
 * Channels of one tap: neighbouring places are then pixels at one distance. `columns` is known to the compiler where it is
 * expanded with a constant.
 */
STEMMA_INLINE void gatherTap(const Patches& p, int64_t tap, int64_t channel, int64_t firstRow, int64_t rows,
                             int64_t columns, float* to, int64_t stride) {
  PatchPlace place(p, firstRow);
  const int64_t tapRow = tap / p.tapColumns, tapColumn = tap % p.tapColumns;
  while (rows > 0) {
    const int64_t y = place.row * p.stride + p.top + tapRow;
    const bool isInside = y >= 0 && y < p.height;
    const int64_t left = p.columns - place.column, count = left < rows ? left : rows;
    int64_t x = place.column * p.stride + p.left + tapColumn;
    const int64_t line = (place.picture * p.height + (isInside ? y : 0)) * p.width;
    for (int64_t j = 0; j < count; j++, x += p.stride, to += stride) {
      const bool isThere = isInside && x >= 0 && x < p.width;
      copyOrClear(isThere ? p.data + (line + x) * p.channels + channel : nullptr, to, columns);
    }
    rows -= count;
    place.column += count - 1;
    place.next(p);
  }
}

/** A rectangle of the matrix of patches, to rows that lie `stride` apart. */
static inline void gatherPatches(const Patches& p, int64_t firstRow, int64_t rows, int64_t firstColumn, int64_t columns,
                                 float* to, int64_t stride) {
  if (rows == 0) return;
  const int64_t firstTap = firstColumn / p.channels, firstChannel = firstColumn % p.channels;
  if (firstChannel + columns <= p.channels) {
    // Twice, so that the compiler sees the width of a whole panel.
    if (columns == 2 * kLanes) gatherTap(p, firstTap, firstChannel, firstRow, rows, 2 * kLanes, to, stride);
    else gatherTap(p, firstTap, firstChannel, firstRow, rows, columns, to, stride);
    return;
  }
  const int64_t firstTapRow = firstTap / p.tapColumns, firstTapColumn = firstTap % p.tapColumns;
  PatchPlace place(p, firstRow);
  for (int64_t r = 0; r < rows; r++, to += stride, place.next(p)) {
    const float* const picture = p.data + place.picture * p.height * p.width * p.channels;
    int64_t y = place.row * p.stride + p.top + firstTapRow, tapColumn = firstTapColumn, channel = firstChannel;
    const int64_t left = place.column * p.stride + p.left;
    // Taps of one row that all lie inside the picture, or all outside, are one stretch of memory.
    for (int64_t i = 0; i < columns;) {
      const int64_t x = left + tapColumn;
      const bool isInside = y >= 0 && y < p.height && x >= 0 && x < p.width;
      int64_t taps = p.tapColumns - tapColumn;
      if (isInside && p.width - x < taps) taps = p.width - x;
      else if (x < 0 && -x < taps) taps = -x;
      const int64_t room = taps * p.channels - channel, count = room < columns - i ? room : columns - i;
      copyOrClear(isInside ? picture + (y * p.width + x) * p.channels + channel : nullptr, to + i, count);
      i += count;
      channel = 0;
      tapColumn += taps;
      if (tapColumn == p.tapColumns) {
        tapColumn = 0;
        y++;
      }
    }
  }
}

}  // namespace stemma::STEMMA_ISA

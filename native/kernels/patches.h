#pragma once

#include <stdint.h>

namespace stemma {

/**
 * Pictures [height, width, channels] as the matrix whose rows are what a filter sees of them: a row for each place
 * (picture, row, column), a column for each (tapRow, tapColumn, channel). The number is the picture's at
 * (row · stride + top + tapRow, column · stride + left + tapColumn), 0 outside of it. The matrix is nowhere written out.
 */
struct Patches {
  const float* data;
  int64_t height, width, channels;
  /** Places of each picture. */
  int64_t rows, columns;
  int64_t tapColumns;
  int64_t stride, top, left;
};

}  // namespace stemma

#pragma once

#include <stdint.h>

namespace stemma {

/** Operands of a step of a long short-term memory; see `LstmCell` in src/backend/kernels.ts. */
struct LstmCell {
  float* gates;
  const float* before;
  float* cells;
  float* hidden;
  int64_t rows;
  int64_t width;
};

/** See `LstmCellGrad` in src/backend/kernels.ts. */
struct LstmCellGradient {
  const float* gates;
  const float* before;
  const float* cells;
  const float* dHidden;
  float* dCells;
  float* dSums;
  int64_t rows;
  int64_t width;
};

}  // namespace stemma

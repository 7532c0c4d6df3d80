#pragma once

#include "kernels/isa.h"

namespace stemma::STEMMA_ISA {

/** Where a row begins in each of two tensors. */
struct RowStarts {
  int64_t first, second;
};

/** Row number `row`, in order of all axes before the last, of two tensors that are walked with strides of their own. */
STEMMA_INLINE RowStarts rowStarts(int64_t row, int rank, const int64_t* shape, const int64_t* strides,
                                  const int64_t* otherStrides) {
  RowStarts at{0, 0};
  for (int axis = rank - 2; axis >= 0; axis--) {
    at.first += row % shape[axis] * strides[axis];
    at.second += row % shape[axis] * otherStrides[axis];
    row /= shape[axis];
  }
  return at;
}

}  // namespace stemma::STEMMA_ISA

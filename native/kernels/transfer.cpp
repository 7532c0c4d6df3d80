#include "kernels/transfer.h"

#include "kernels/parallel.h"
#include "kernels/vector.h"
#include "kernels/walk.h"

namespace stemma::STEMMA_ISA {

/** Drops axes of length 1 and joins neighbours that both sides walk as one. */
static Transfer simplified(const Transfer& walk) {
  Transfer result = {};
  for (int axis = 0; axis < walk.rank; axis++) {
    const int64_t length = walk.shape[axis];
    if (length == 1) continue;
    int last = result.rank - 1;
    if (last >= 0 && result.from[last] == walk.from[axis] * length && result.to[last] == walk.to[axis] * length) {
      result.shape[last] *= length;
    } else {
      last = result.rank++;
      result.shape[last] = length;
    }
    result.from[last] = walk.from[axis];
    result.to[last] = walk.to[axis];
  }
  if (result.rank == 0) {
    result.rank = 1;
    result.shape[0] = result.from[0] = result.to[0] = 1;
  }
  return result;
}

template <bool accumulate>
static void moveRow(const float* from, int64_t stepFrom, float* to, int64_t stepTo, int64_t length) {
  if (stepFrom == 1 && stepTo == 1) {
    if constexpr (!accumulate) {
      memcpy(to, from, length * sizeof(float));
    } else {
      forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        storeSome(to + i, loadSome(to + i, count) + loadSome(from + i, count), count);
      });
    }
    return;
  }
  for (int64_t i = 0; i < length; i++) {
    if constexpr (accumulate) to[i * stepTo] += from[i * stepFrom];
    else to[i * stepTo] = from[i * stepFrom];
  }
}

template <bool accumulate>
static void moveAll(const Transfer& walk, const float* from, float* to, int threads) {
  const int inner = walk.rank - 1;
  const int64_t length = walk.shape[inner];
  int64_t rows = 1;
  for (int axis = 0; axis < inner; axis++) rows *= walk.shape[axis];
  parallelRows(threads, rows, length, [&](int64_t row) {
    const RowStarts at = rowStarts(row, walk.rank, walk.shape, walk.from, walk.to);
    moveRow<accumulate>(from + at.first, walk.from[inner], to + at.second, walk.to[inner], length);
  });
}

/** to(i₀, i₁, …) = from(i₀, i₁, …), or += ; the places written must be distinct. */
void transfer(const Transfer& transfer, const float* from, float* to, bool accumulate, int threads) {
  for (int axis = 0; axis < transfer.rank; axis++)
    if (transfer.shape[axis] == 0) return;
  const Transfer walk = simplified(transfer);
  if (accumulate) moveAll<true>(walk, from, to, threads);
  else moveAll<false>(walk, from, to, threads);
}

}  // namespace stemma::STEMMA_ISA

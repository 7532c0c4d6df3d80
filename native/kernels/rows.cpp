#include "kernels/parallel.h"
#include "kernels/units.h"
#include "kernels/vector.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

/** out[i] = table[ids[i]]; zeros for a negative id. Rows of the table are whole blocks. */
void gatherRows(WeightFormat format, const void* table, const int32_t* ids, float* out, int64_t rows, int64_t width,
                int threads) {
  forFormat(format, [&](auto weights) {
    parallelRows(threads, rows, width, [&](int64_t i) {
      if (ids[i] < 0) memset(out + i * width, 0, width * sizeof(float));
      else decodeStretch<weights.format>(table, ids[i] * width, width, out + i * width);
    });
  });
}

/** out = what the weights stand for; `length` is whole blocks. */
void decode(WeightFormat format, const void* from, float* out, int64_t length, int threads) {
  forFormat(format, [&](auto weights) {
    parallelRange(threads, length, 16384, [&](int64_t begin, int64_t end) {
      decodeStretch<weights.format>(from, begin, end - begin, out + begin);
    });
  });
}

/** table[ids[i]] = from[i]; the table is of float32, or of bfloat16, to which numbers are rounded. */
void setRows(WeightFormat format, const float* from, const int32_t* ids, void* table, int64_t rows, int64_t width,
             int threads) {
  parallelRows(threads, rows, width, [&](int64_t i) {
    if (ids[i] < 0) return;
    const float* row = from + i * width;
    if (format == WeightFormat::float32) {
      memcpy((float*)table + ids[i] * width, row, width * sizeof(float));
      return;
    }
    uint16_t* const to = (uint16_t*)table + ids[i] * width;
    forVectors(width, [&](int64_t at, int64_t count) STEMMA_EXPANDED {
      const IntVec bits = bitsOf(roundToBfloat16(loadSome(row + at, count)));
      for (int64_t j = 0; j < count; j++) to[at + j] = (uint16_t)((uint32_t)bits[j] >> 16);
    });
  });
}

/**
 * table[ids[i]] += from[i]. Two tasks never meet in one place: each takes a stretch of columns of all rows, in the
 * order of i.
 */
void scatterAddRows(const float* from, const int32_t* ids, float* table, int64_t rows, int64_t width, int threads) {
  const int64_t columns = 64;
  parallel(threads, (width + columns - 1) / columns, [&](int64_t task, int) {
    const int64_t begin = task * columns, length = width - begin < columns ? width - begin : columns;
    for (int64_t i = 0; i < rows; i++) {
      if (ids[i] < 0) continue;
      float* to = table + ids[i] * width + begin;
      const float* added = from + i * width + begin;
      forVectors(length, [&](int64_t j, int64_t count) STEMMA_EXPANDED {
        storeSome(to + j, loadSome(to + j, count) + loadSome(added + j, count), count);
      });
    }
  });
}

/** out[i] = x[i, ids[i]]; 0 for a negative id. */
void pick(const float* x, const int32_t* ids, float* out, int64_t rows, int64_t width, int threads) {
  parallelRange(threads, rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) out[i] = ids[i] < 0 ? 0.0f : x[i * width + ids[i]];
  });
}

/** dx[i, ids[i]] += dy[i]. */
void pickGrad(const float* dy, const int32_t* ids, float* dx, int64_t rows, int64_t width, int threads) {
  parallelRange(threads, rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      if (ids[i] >= 0) dx[i * width + ids[i]] += dy[i];
  });
}

}  // namespace stemma::STEMMA_ISA

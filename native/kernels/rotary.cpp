#include "kernels/rotary.h"

#include "kernels/parallel.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

/** (a, b) → (a cos − b sin, b cos + a sin) for pairs half a head apart; the rest of each row is copied. */
void rotary(const Rotation& r, int threads) {
  const float sign = r.inverse ? -1.0f : 1.0f;
  const int64_t turned = 2 * r.half * r.heads;
  parallelRows(threads, r.rows, r.width, [&](int64_t row) {
    const int64_t angle = (r.positions ? r.positions[row] : row % r.time) * r.half;
    const float* x = r.x + row * r.width;
    float* out = r.out + row * r.width;
    for (int64_t at = 0; at < turned; at += 2 * r.half) {
      forVectors(r.half, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec c = loadSome(r.cos + angle + i, count), s = loadSome(r.sin + angle + i, count) * sign;
        Vec a = loadSome(x + at + i, count), b = loadSome(x + at + r.half + i, count);
        storeSome(out + at + i, a * c - b * s, count);
        storeSome(out + at + r.half + i, b * c + a * s, count);
      });
    }
    if (x != out) memcpy(out + turned, x + turned, (r.width - turned) * sizeof(float));
  });
}

}  // namespace stemma::STEMMA_ISA

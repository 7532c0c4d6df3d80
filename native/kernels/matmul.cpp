#include "kernels/matmul.h"

#include "kernels/matmul-integer.h"
#include "kernels/matmul-narrow.h"
#include "kernels/matmul-packed.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Multiply-adds below which waking another thread costs more than it saves: a few microseconds of one core. */
constexpr int64_t kWorthSharing = 400'000;

/** Pair `item` of a batch as a product of its own. */
Matmul pairOf(const Matmul& p, int64_t item) {
  Matmul pair = p;
  const int64_t start = item * p.m * p.n;
  pair.batch = 1;
  pair.a += item * p.batchStrideA;
  pair.b = (const char*)p.b + bytesOf(p.weights, item * p.batchStrideB);
  pair.out += start;
  if (p.residual) pair.residual += start;
  if (p.preActivation) pair.preActivation += start;
  return pair;
}

void product(const Matmul& p, int threads) {
  if (isInteger(p)) integerProduct(p, threads);
  else if (isNarrow(p)) narrowProduct(p, threads);
  else packedProducts(&p, 1, threads);
}

}  // namespace

void matmul(const Matmul& wanted, int threads) {
  Matmul p = wanted;
  if (p.residual == p.out) {
    // Sums are stored in `out` before they are finished, so a residual there could not wait.
    p.residual = nullptr;
    p.accumulate = true;
  }
  if (p.batch == 0 || p.m == 0 || p.n == 0) return;
  const int64_t work = p.m * p.n * (p.k + 1);
  if (p.batch * work < kWorthSharing) threads = 1;
  // Small pairs are shared out whole, large ones one after the other and each by all threads.
  const bool sharesOut = p.batch > 1 && (work < kWorthSharing || p.batch >= 8 * threads);
  if (sharesOut) {
    parallel(threads, p.batch, [&](int64_t item, int) { product(pairOf(p, item), 1); });
  } else {
    for (int64_t item = 0; item < p.batch; item++) product(pairOf(p, item), threads);
  }
}

/** All products of some rows are one job; narrow ones read their b once and those of integers round rows, each on its own. */
void matmuls(const Matmul* products, int count, int threads) {
  const Scratch memory((size_t)(count + 1) * sizeof(Matmul));
  Matmul* const wide = (Matmul*)memory.bytes();
  int64_t wideCount = 0, work = 0;
  for (int i = 0; i < count; i++) work += products[i].m * products[i].n * (products[i].k + 1);
  if (work < kWorthSharing) threads = 1;
  for (int i = 0; i < count; i++) {
    const Matmul& p = products[i];
    if (p.m == 0 || p.n == 0) continue;
    if (isInteger(p)) integerProduct(p, threads);
    else if (isNarrow(p)) narrowProduct(p, threads);
    else wide[wideCount++] = p;
  }
  if (wideCount > 0) packedProducts(wide, wideCount, threads);
}

}  // namespace stemma::STEMMA_ISA

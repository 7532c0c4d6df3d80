#include "kernels/matmul.h"

#include "kernels/epilogue.h"
#include "kernels/functions.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

void matmul(const Matmul& p, int threads) {
  parallel(threads, p.batch * p.m, [&](int64_t task, int) {
    const int64_t i = task % p.m, item = task / p.m;
    const float* a = p.a + item * p.batchStrideA;
    const float* b = p.b + item * p.batchStrideB;
    for (int64_t j = 0; j < p.n; j++) {
      float sum = 0;
      for (int64_t l = 0; l < p.k; l++) {
        sum += (p.transposeA ? a[l * p.m + i] : a[i * p.k + l]) * (p.transposeB ? b[j * p.k + l] : b[l * p.n + j]);
      }
      const int64_t at = (item * p.m + i) * p.n + j;
      if (p.accumulate) sum += p.out[at];
      p.out[at] = sum;
    }
    finish(Epilogue{p.bias, p.residual, p.activation, p.preActivation}, p.out, p.n, (item * p.m + i) * p.n, 0, 1, p.n);
  });
}

}  // namespace stemma::STEMMA_ISA

#include "kernels/matmul.h"

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
      if (p.bias) sum += p.bias[j];
      if (p.residual) sum += p.residual[at];
      if (p.preActivation) p.preActivation[at] = sum;
      if (p.activation == Activation::relu) sum = sum < 0 ? 0 : sum;
      p.out[at] = sum;
    }
  });
}

}  // namespace stemma::STEMMA_ISA

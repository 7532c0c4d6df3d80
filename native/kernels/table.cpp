#include "kernels/table.h"

#include "kernels/isa.h"

namespace stemma::STEMMA_ISA {

double floatPeak(double seconds, int threads);
double bfloat16Peak(double seconds, int threads);
double readBandwidth(double seconds, int threads);
void matmul(const Matmul& product, int threads);

/** Called once, by the dispatcher; the declarations above are this variant's own. */
void fillTable(KernelTable& table) {
  table.vectorBytes = STEMMA_VECTOR_BYTES;
#if defined(__AVX512BF16__)
  table.hasBfloat16Products = true;
#else
  table.hasBfloat16Products = false;
#endif
  table.floatPeak = floatPeak;
  table.bfloat16Peak = bfloat16Peak;
  table.readBandwidth = readBandwidth;
  table.matmul = matmul;
}

}  // namespace stemma::STEMMA_ISA

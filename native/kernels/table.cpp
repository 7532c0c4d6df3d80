#include "kernels/table.h"

#include "kernels/isa.h"

namespace stemma::STEMMA_ISA {

#define STEMMA_DECLARE(result, name, arguments) result name arguments;
STEMMA_KERNELS(STEMMA_DECLARE)
#undef STEMMA_DECLARE

/** Called once, by the dispatcher; the declarations above are this variant's own. */
void fillTable(KernelTable& table) {
  table.vectorBytes = STEMMA_VECTOR_BYTES;
#if defined(__AVX512BF16__)
  table.hasBfloat16Products = true;
#else
  table.hasBfloat16Products = false;
#endif
#define STEMMA_ASSIGN(result, name, arguments) table.name = name;
  STEMMA_KERNELS(STEMMA_ASSIGN)
#undef STEMMA_ASSIGN
}

}  // namespace stemma::STEMMA_ISA

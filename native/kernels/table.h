#pragma once

#include "kernels/kernel-list.h"

namespace stemma {

/** All kernels compiled for one instruction set. */
struct KernelTable {
  const char* name;
  /** Bytes of a vector register. */
  int vectorBytes;
  /** Whether bfloat16 products are one instruction, rather than rounding followed by float32 products. */
  bool hasBfloat16Products;

#define STEMMA_MEMBER(result, name, arguments) result(*name) arguments;
  STEMMA_KERNELS(STEMMA_MEMBER)
#undef STEMMA_MEMBER
};

}  // namespace stemma

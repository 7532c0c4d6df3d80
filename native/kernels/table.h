#pragma once

#include "kernels/machine.h"
#include "kernels/matmul.h"

namespace stemma {

/** All kernels compiled for one instruction set. The last argument of each is the number of threads it may use. */
struct KernelTable {
  const char* name;
  /** Bytes of a vector register. */
  int vectorBytes;
  /** Whether bfloat16 products are one instruction, rather than rounding followed by float32 products. */
  bool hasBfloat16Products;

  double (*floatPeak)(double seconds, int threads);
  double (*bfloat16Peak)(double seconds, int threads);
  double (*readBandwidth)(double seconds, int threads);

  void (*matmul)(const Matmul& product, int threads);
};

}  // namespace stemma

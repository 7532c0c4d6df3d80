#pragma once

#include <stdint.h>

#include "kernels/patches.h"
#include "runtime/weight-format.h"

namespace stemma {

enum class Activation { none, gelu, geluTanh, quickGelu, relu, silu, tanh };

/**
 * out = activation(op(a) · op(b) + bias + residual), or out += op(a) · op(b), for each of `batch` pairs of matrices, as
 * `Matmul` in src/backend/kernels.ts. op(a) is [m, k] and op(b) [k, n]; a transposed operand is stored the other way
 * round. Nothing may overlap `out`, but `residual` may be `out`. Kernel `matmuls` takes products of different sizes that
 * do not depend on each other, each of one pair and without bias, residual and activation.
 */
struct Matmul {
  const float* a;
  /** Numbers as `weights` says; the rows in which they are stored are whole blocks. */
  const void* b;
  float* out;
  int64_t batch, m, n, k;
  bool transposeA, transposeB;
  int64_t batchStrideA, batchStrideB;
  bool accumulate;
  WeightFormat weights;
  /** Rows of a are rounded for products of integers, where b is in blocks and `transposeB`. */
  bool roundsRows;
  /** Operands are rounded to bfloat16; sums stay float32. */
  bool useBfloat16;
  const float* bias;
  const float* residual;
  Activation activation;
  float* preActivation;
  /** In place of `a` or `b`, in products that are packed: not transposed, and of float32. */
  const Patches* patchesA;
  const Patches* patchesB;
};

}  // namespace stemma

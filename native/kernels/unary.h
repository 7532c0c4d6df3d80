#pragma once

#include <stdint.h>

namespace stemma {

/** Functions of one number, in the order of `unaryKinds` in src/backend/native. */
enum class UnaryKind {
  abs, cos, exp, gelu, geluTanh, log, logSigmoid, relu, rsqrt, sigmoid, silu, sin, sqrt, square, tanh
};
constexpr int kUnaryKinds = 15;

}  // namespace stemma

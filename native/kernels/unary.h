#pragma once

#include <stdint.h>

namespace stemma {

/** Functions of one number, in the order of `unaryKinds` in src/backend/native. */
enum class UnaryKind {
  abs, cos, exp, gelu, geluTanh, log, logSigmoid, quickGelu, relu, rsqrt, sigmoid, silu, sin, sqrt, square, tanh
};
constexpr int kUnaryKinds = 16;

}  // namespace stemma

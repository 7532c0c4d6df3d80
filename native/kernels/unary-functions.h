#pragma once

#include <math.h>

#include "kernels/activations.h"
#include "kernels/unary.h"

/** The functions of UnaryKind and their derivatives, as vectors. */
namespace stemma::STEMMA_ISA {

/** f(x) of a scalar function, lane by lane: for functions that nothing in a training step calls. */
template <float (*function)(float)>
STEMMA_INLINE Vec eachLane(Vec x) {
  Vec result;
  for (int i = 0; i < kLanes; i++) result[i] = function(x[i]);
  return result;
}

/** tanh's argument in the approximation of GELU; (1 + tanh u) / 2 is σ(2u). */
STEMMA_INLINE Vec geluTanhInner(Vec x) { return 0.7978845608f * fma(0.044715f * x * x, x, x); }

/** Φ(x), the standard normal distribution function. */
STEMMA_INLINE Vec normalCdf(Vec x) { return fma(erf(x * 0.7071067812f), broadcast(0.5f), broadcast(0.5f)); }

template <UnaryKind kind>
STEMMA_INLINE Vec valueOf(Vec x) {
  const Vec zero = {};
  if constexpr (kind == UnaryKind::abs) return abs(x);
  if constexpr (kind == UnaryKind::cos) return eachLane<cosf>(x);
  if constexpr (kind == UnaryKind::exp) return exp(x);
  if constexpr (kind == UnaryKind::gelu) return gelu(x);
  if constexpr (kind == UnaryKind::geluTanh) return geluTanh(x);
  if constexpr (kind == UnaryKind::log) return log(x);
  if constexpr (kind == UnaryKind::logSigmoid) return min(zero, x) - log(1.0f + exp(-abs(x)));
  if constexpr (kind == UnaryKind::quickGelu) return quickGelu(x);
  if constexpr (kind == UnaryKind::relu) return relu(x);
  if constexpr (kind == UnaryKind::rsqrt) return 1.0f / sqrt(x);
  if constexpr (kind == UnaryKind::sigmoid) return sigmoid(x);
  if constexpr (kind == UnaryKind::silu) return silu(x);
  if constexpr (kind == UnaryKind::sin) return eachLane<sinf>(x);
  if constexpr (kind == UnaryKind::sqrt) return sqrt(x);
  if constexpr (kind == UnaryKind::square) return x * x;
  if constexpr (kind == UnaryKind::tanh) return tanh(x);
}

template <UnaryKind kind>
STEMMA_INLINE Vec slopeOf(Vec x) {
  const Vec zero = {}, one = broadcast(1.0f);
  if constexpr (kind == UnaryKind::abs) return select(x > zero, one, select(x < zero, -one, x));
  if constexpr (kind == UnaryKind::cos) return -eachLane<sinf>(x);
  if constexpr (kind == UnaryKind::exp) return exp(x);
  if constexpr (kind == UnaryKind::gelu) return fma(x, 0.3989422804f * exp(-0.5f * x * x), normalCdf(x));
  if constexpr (kind == UnaryKind::geluTanh) {
    Vec s = sigmoid(2.0f * geluTanhInner(x));
    Vec dInner = 0.7978845608f * fma(0.134145f * x, x, one);
    return fma(2.0f * x * dInner, s * (one - s), s);
  }
  if constexpr (kind == UnaryKind::log) return 1.0f / x;
  if constexpr (kind == UnaryKind::logSigmoid) return sigmoid(-x);
  if constexpr (kind == UnaryKind::quickGelu) {
    return sigmoid(1.702f * x) * fma(1.702f * x, sigmoid(-1.702f * x), one);
  }
  if constexpr (kind == UnaryKind::relu) return select(x > zero, one, zero);
  if constexpr (kind == UnaryKind::rsqrt) return -0.5f / (x * sqrt(x));
  if constexpr (kind == UnaryKind::sigmoid) return sigmoid(x) * sigmoid(-x);
  if constexpr (kind == UnaryKind::silu) return sigmoid(x) * fma(x, sigmoid(-x), one);
  if constexpr (kind == UnaryKind::sin) return eachLane<cosf>(x);
  if constexpr (kind == UnaryKind::sqrt) return 0.5f / sqrt(x);
  if constexpr (kind == UnaryKind::square) return 2.0f * x;
  if constexpr (kind == UnaryKind::tanh) {
    Vec t = tanh(x);
    return one - t * t;
  }
}

/** A kind as a type, so that a lambda can be expanded for each. */
template <UnaryKind value>
struct KindOf {
  static constexpr UnaryKind kind = value;
};

/** Calls `body(KindOf<kind>{})`. */
template <class Body>
static inline void withUnaryKind(UnaryKind kind, Body&& body) {
#define STEMMA_CASE(name) \
  case UnaryKind::name:   \
    return body(KindOf<UnaryKind::name>{});
  switch (kind) {
    STEMMA_CASE(abs)
    STEMMA_CASE(cos)
    STEMMA_CASE(exp)
    STEMMA_CASE(gelu)
    STEMMA_CASE(geluTanh)
    STEMMA_CASE(log)
    STEMMA_CASE(logSigmoid)
    STEMMA_CASE(quickGelu)
    STEMMA_CASE(relu)
    STEMMA_CASE(rsqrt)
    STEMMA_CASE(sigmoid)
    STEMMA_CASE(silu)
    STEMMA_CASE(sin)
    STEMMA_CASE(sqrt)
    STEMMA_CASE(square)
    STEMMA_CASE(tanh)
  }
#undef STEMMA_CASE
}

}  // namespace stemma::STEMMA_ISA

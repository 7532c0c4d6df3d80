#include "kernels/adamw.h"

#include <math.h>

#include "kernels/parallel.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

constexpr int64_t kPiece = 16384;

/** Calls `body(tensor, begin, length)` for pieces of up to kPiece elements that together cover all tensors. */
template <class Item, class Body>
static void forPieces(const Item* tensors, int count, int threads, Body&& body) {
  Scratch firstPieces((count + 1) * sizeof(int64_t));
  int64_t* firsts = (int64_t*)firstPieces.bytes();
  firsts[0] = 0;
  for (int j = 0; j < count; j++) firsts[j + 1] = firsts[j] + (tensors[j].length + kPiece - 1) / kPiece;

  parallel(threads, firsts[count], [&](int64_t piece, int) {
    int low = 0, high = count - 1;  // the last tensor that starts at or before this piece
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (firsts[middle] <= piece) low = middle;
      else high = middle - 1;
    }
    const int64_t begin = (piece - firsts[low]) * kPiece, left = tensors[low].length - begin;
    body(tensors[low], begin, left < kPiece ? left : kPiece);
  });
}

/**
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − α(m̂ / (√v̂ + ε) + λθ) for every element of every parameter, in
 * one pass over memory. @see Loshchilov & Hutter (2019), algorithm 2.
 */
void adamw(const AdamWTensor* tensors, int count, const AdamWConstants& c, int threads) {
  const float beta1 = (float)c.beta1, rest1 = (float)(1 - c.beta1);
  const float beta2 = (float)c.beta2, rest2 = (float)(1 - c.beta2);
  const double correctedRate = c.learningRate / (1 - pow(c.beta1, c.step));
  const float correction2 = (float)(1 / (1 - pow(c.beta2, c.step)));
  const float epsilon = (float)c.epsilon, scale = c.gradientScale;

  forPieces(tensors, count, threads, [&](const AdamWTensor& t, int64_t begin, int64_t length) {
    const float rate = (float)(correctedRate * t.rateScale);
    const float keep = (float)(1 - c.learningRate * t.rateScale * t.weightDecay);
    float *p = t.parameter + begin, *m = t.firstMoment + begin, *v = t.secondMoment + begin;
    const float* g = t.gradient + begin;
    forVectors(length, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      Vec gradient = loadSome(g + i, some) * scale;
      Vec first = fma(loadSome(m + i, some), broadcast(beta1), gradient * rest1);
      Vec second = fma(loadSome(v + i, some), broadcast(beta2), gradient * gradient * rest2);
      Vec update = first * rate / (sqrt(second * correction2) + epsilon);
      storeSome(m + i, first, some);
      storeSome(v + i, second, some);
      storeSome(p + i, fma(loadSome(p + i, some), broadcast(keep), -update), some);
    });
  });
}

/** a ← decay · a + (1 − decay) · θ for every element of every average. */
void average(const AveragedTensor* tensors, int count, double decay, int threads) {
  const Vec keep = broadcast((float)decay), rest = broadcast((float)(1 - decay));
  forPieces(tensors, count, threads, [&](const AveragedTensor& t, int64_t begin, int64_t length) {
    float* a = t.average + begin;
    const float* p = t.parameter + begin;
    forVectors(length, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      storeSome(a + i, fma(loadSome(a + i, some), keep, loadSome(p + i, some) * rest), some);
    });
  });
}

}  // namespace stemma::STEMMA_ISA

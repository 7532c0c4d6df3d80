#include "kernels/epilogue.h"

namespace stemma::STEMMA_ISA {

namespace {

template <class Activate>
void finishWith(const Epilogue& e, float* out, int64_t stride, int64_t at, int64_t firstColumn, int64_t rows,
                int64_t columns, Activate&& activate) {
  for (int64_t r = 0; r < rows; r++, at += stride) {
    forVectors(columns, [&](int64_t j, int64_t count) {
      Vec z = loadSome(out + at + j, count);
      if (e.bias) z += loadSome(e.bias + firstColumn + j, count);
      if (e.residual) z += loadSome(e.residual + at + j, count);
      if (e.preActivation) storeSome(e.preActivation + at + j, z, count);
      storeSome(out + at + j, activate(z), count);
    });
  }
}

}  // namespace

void finish(const Epilogue& e, float* out, int64_t stride, int64_t at, int64_t firstColumn, int64_t rows,
            int64_t columns) {
  auto with = [&](auto&& activate) { finishWith(e, out, stride, at, firstColumn, rows, columns, activate); };
  switch (e.activation) {
    case Activation::none: return with([](Vec x) { return x; });
    case Activation::gelu: return with([](Vec x) { return gelu(x); });
    case Activation::geluTanh: return with([](Vec x) { return geluTanh(x); });
    case Activation::quickGelu: return with([](Vec x) { return quickGelu(x); });
    case Activation::relu: return with([](Vec x) { return relu(x); });
    case Activation::silu: return with([](Vec x) { return silu(x); });
    case Activation::tanh: return with([](Vec x) { return tanh(x); });
  }
}

}  // namespace stemma::STEMMA_ISA

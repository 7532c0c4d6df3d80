#include "kernels/norm.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** layerNorm(x…, gain…, bias…, out…, mean…, rstd…, rows, width, epsilon) */
napi_value layerNorm(napi_env env, napi_callback_info info) {
  Call call(env, info, "layerNorm");
  const View x = call.view(), gain = call.view(), bias = call.view(), out = call.view(), mean = call.view(),
             rstd = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float epsilon = (float)call.number();
  const float* from = call.floats(x, times(rows, width), "x");
  const float* g = call.floats(gain, width, "gain");
  const float* b = call.floats(bias, width, "bias");
  float* to = call.floats(out, times(rows, width), "out");
  float* m = call.floats(mean, rows, "mean");
  float* r = call.floats(rstd, rows, "rstd");
  if (call.ok()) call.kernels().layerNorm(from, g, b, epsilon, to, m, r, rows, width, call.threads());
  return nullptr;
}

/** rmsNorm(x…, gain…, out…, rstd…, rows, width, epsilon) */
napi_value rmsNorm(napi_env env, napi_callback_info info) {
  Call call(env, info, "rmsNorm");
  const View x = call.view(), gain = call.view(), out = call.view(), rstd = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float epsilon = (float)call.number();
  const float* from = call.floats(x, times(rows, width), "x");
  const float* g = call.floats(gain, width, "gain");
  float* to = call.floats(out, times(rows, width), "out");
  float* r = call.floats(rstd, rows, "rstd");
  if (call.ok()) call.kernels().rmsNorm(from, g, epsilon, to, r, rows, width, call.threads());
  return nullptr;
}

/** normGrad(x…, gain…, mean… or none, rstd…, dy…, residual…, dx…, dGain…, dBias…, rows, width); layer norm has a mean */
napi_value normGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "normGrad");
  const View x = call.view(), gain = call.view(), mean = call.optionalView(), rstd = call.view(), dy = call.view();
  const View residual = call.optionalView(), dx = call.view();
  const View dGain = call.optionalView(), dBias = call.optionalView();
  NormGradient n{};
  n.rows = call.size();
  n.width = call.size();
  n.x = call.floats(x, times(n.rows, n.width), "x");
  n.gain = call.floats(gain, n.width, "gain");
  n.mean = call.floats(mean, n.rows, "mean");
  n.rstd = call.floats(rstd, n.rows, "rstd");
  n.dy = call.floats(dy, times(n.rows, n.width), "dy");
  n.residual = call.floats(residual, times(n.rows, n.width), "residual");
  n.dx = call.floats(dx, times(n.rows, n.width), "dx");
  n.dGain = call.floats(dGain, n.width, "dGain");
  n.dBias = call.floats(dBias, n.width, "dBias");
  if (!call.ok()) return nullptr;
  (n.mean ? call.kernels().layerNormGrad : call.kernels().rmsNormGrad)(n, call.threads());
  return nullptr;
}

}  // namespace

const Method normMethods[] = {
    {"layerNorm", layerNorm}, {"rmsNorm", rmsNorm}, {"normGrad", normGrad}, {nullptr, nullptr}};

}  // namespace stemma

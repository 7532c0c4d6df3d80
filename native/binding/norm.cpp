#include "kernels/norm.h"

#include "binding/call.h"
#include "kernels/group-norm.h"

namespace stemma {

namespace {

/** Rows of gain and bias, which divide those of x. */
int64_t samplesOf(Call& call, int64_t rows) {
  const int64_t samples = call.size();
  if (samples > 0 ? rows % samples != 0 : rows != 0) call.fail("the samples do not divide the rows");
  return samples;
}

/** layerNorm(x…, gain… or none, bias… or none, out…, mean…, rstd…, rows, width, samples, epsilon) */
napi_value layerNorm(napi_env env, napi_callback_info info) {
  Call call(env, info, "layerNorm");
  const View x = call.view(), gain = call.optionalView(), bias = call.optionalView(), out = call.view();
  const View mean = call.view(), rstd = call.view();
  const int64_t rows = call.size(), width = call.size(), samples = samplesOf(call, rows);
  const float epsilon = (float)call.number();
  const float* from = call.floats(x, times(rows, width), "x");
  const float* g = call.floats(gain, times(samples, width), "gain");
  const float* b = call.floats(bias, times(samples, width), "bias");
  float* to = call.floats(out, times(rows, width), "out");
  float* m = call.floats(mean, rows, "mean");
  float* r = call.floats(rstd, rows, "rstd");
  if (call.ok()) call.kernels().layerNorm(from, g, b, epsilon, to, m, r, rows, width, samples, call.threads());
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

/**
 * normGrad(x…, gain… or none, mean… or none, rstd…, dy…, residual…, dx…, dGain…, dBias…, rows, width, samples); layer norm
 * has a mean
 */
napi_value normGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "normGrad");
  const View x = call.view(), gain = call.optionalView(), mean = call.optionalView(), rstd = call.view(), dy = call.view();
  const View residual = call.optionalView(), dx = call.view();
  const View dGain = call.optionalView(), dBias = call.optionalView();
  NormGradient n{};
  n.rows = call.size();
  n.width = call.size();
  n.samples = samplesOf(call, n.rows);
  const int64_t factors = times(n.samples, n.width);
  n.x = call.floats(x, times(n.rows, n.width), "x");
  n.gain = call.floats(gain, factors, "gain");
  n.mean = call.floats(mean, n.rows, "mean");
  n.rstd = call.floats(rstd, n.rows, "rstd");
  n.dy = call.floats(dy, times(n.rows, n.width), "dy");
  n.residual = call.floats(residual, times(n.rows, n.width), "residual");
  n.dx = call.floats(dx, times(n.rows, n.width), "dx");
  n.dGain = call.floats(dGain, factors, "dGain");
  n.dBias = call.floats(dBias, factors, "dBias");
  if (!call.ok() || n.width == 0) return nullptr;
  (n.mean ? call.kernels().layerNormGrad : call.kernels().rmsNormGrad)(n, call.threads());
  return nullptr;
}

/** Four sizes, and whether SiLU follows. */
GroupNormShape readShape(Call& call) {
  GroupNormShape shape{};
  shape.batch = call.size();
  shape.positions = call.size();
  shape.channels = call.size();
  shape.groups = call.size();
  shape.silu = call.flag();
  if (shape.groups == 0 || shape.channels % shape.groups != 0) call.fail("the groups do not divide the channels");
  return shape;
}

/** groupNorm(x…, gain…, bias…, out…, mean…, rstd…, batch, positions, channels, groups, silu, epsilon) */
napi_value groupNorm(napi_env env, napi_callback_info info) {
  Call call(env, info, "groupNorm");
  const View x = call.view(), gain = call.view(), bias = call.view(), out = call.view(), mean = call.view();
  const View rstd = call.view();
  GroupNorm n{};
  n.shape = readShape(call);
  n.epsilon = (float)call.number();
  const int64_t channels = n.shape.channels, elements = times(n.shape.batch, times(n.shape.positions, channels));
  const int64_t statistics = times(n.shape.batch, n.shape.groups);
  n.x = call.floats(x, elements, "x");
  n.gain = call.floats(gain, channels, "gain");
  n.bias = call.floats(bias, channels, "bias");
  n.out = call.floats(out, elements, "out");
  n.mean = call.floats(mean, statistics, "mean");
  n.rstd = call.floats(rstd, statistics, "rstd");
  if (call.ok() && channels > 0) call.kernels().groupNorm(n, call.threads());
  return nullptr;
}

/**
 * groupNormGrad(x…, gain…, bias…, mean…, rstd…, dy…, residual…, dx…, dGain…, dBias…, batch, positions, channels, groups,
 * silu)
 */
napi_value groupNormGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "groupNormGrad");
  const View x = call.view(), gain = call.view(), bias = call.view(), mean = call.view(), rstd = call.view();
  const View dy = call.view(), residual = call.optionalView(), dx = call.view();
  const View dGain = call.optionalView(), dBias = call.optionalView();
  GroupNormGradient n{};
  n.shape = readShape(call);
  const int64_t channels = n.shape.channels, elements = times(n.shape.batch, times(n.shape.positions, channels));
  const int64_t statistics = times(n.shape.batch, n.shape.groups);
  n.x = call.floats(x, elements, "x");
  n.gain = call.floats(gain, channels, "gain");
  n.bias = call.floats(bias, channels, "bias");
  n.mean = call.floats(mean, statistics, "mean");
  n.rstd = call.floats(rstd, statistics, "rstd");
  n.dy = call.floats(dy, elements, "dy");
  n.residual = call.floats(residual, elements, "residual");
  n.dx = call.floats(dx, elements, "dx");
  n.dGain = call.floats(dGain, channels, "dGain");
  n.dBias = call.floats(dBias, channels, "dBias");
  if (call.ok() && channels > 0) call.kernels().groupNormGrad(n, call.threads());
  return nullptr;
}

}  // namespace

const Method normMethods[] = {
    {"layerNorm", layerNorm}, {"rmsNorm", rmsNorm},           {"normGrad", normGrad},
    {"groupNorm", groupNorm}, {"groupNormGrad", groupNormGrad}, {nullptr, nullptr},
};

}  // namespace stemma

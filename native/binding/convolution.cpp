#include "kernels/convolution.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** Batch, height, width, channels; height, width and channels of the result; taps; stride, top, left; useBfloat16. */
ConvolutionShape readShape(Call& call) {
  ConvolutionShape s{};
  s.batch = call.size();
  s.height = call.size();
  s.width = call.size();
  s.channels = call.size();
  s.outHeight = call.size();
  s.outWidth = call.size();
  s.outChannels = call.size();
  s.tapRows = call.size();
  s.tapColumns = call.size();
  s.stride = call.size();
  s.top = call.size();
  s.left = call.size();
  s.useBfloat16 = call.flag();
  if (s.stride == 0 || s.tapRows == 0 || s.tapColumns == 0 || s.channels == 0) {
    call.fail("stride, channels and sizes of the filter must be at least 1");
  }
  return s;
}

int64_t pixels(const ConvolutionShape& s) { return times(times(s.batch, s.height), times(s.width, s.channels)); }

int64_t results(const ConvolutionShape& s) {
  return times(times(s.batch, s.outHeight), times(s.outWidth, s.outChannels));
}

int64_t taps(const ConvolutionShape& s) {
  return times(times(s.outChannels, s.tapRows), times(s.tapColumns, s.channels));
}

/** convolution(x…, weight…, bias… or none, out…, shape…, activation, preActivation… or none) */
napi_value convolution(napi_env env, napi_callback_info info) {
  Call call(env, info, "conv2d");
  const View x = call.view(), weight = call.view(), bias = call.optionalView(), out = call.view();
  Convolution c{};
  c.shape = readShape(call);
  c.activation = call.choice<Activation>(7);
  const View preActivation = call.optionalView();
  c.x = call.floats(x, pixels(c.shape), "x");
  c.weight = call.floats(weight, taps(c.shape), "weight");
  c.bias = call.floats(bias, c.shape.outChannels, "bias");
  c.out = call.floats(out, results(c.shape), "out");
  c.preActivation = call.floats(preActivation, results(c.shape), "preActivation");
  if (call.ok()) call.kernels().convolution(c, call.threads());
  return nullptr;
}

/** convolutionInputGrad(dy…, weight…, dx…, shape…, accumulate) */
napi_value convolutionInputGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "conv2dInputGrad");
  const View dy = call.view(), weight = call.view(), dx = call.view();
  ConvolutionGradient g{};
  g.shape = readShape(call);
  g.accumulate = call.flag();
  g.dy = call.floats(dy, results(g.shape), "dy");
  g.other = call.floats(weight, taps(g.shape), "weight");
  g.out = call.floats(dx, pixels(g.shape), "dx");
  if (call.ok()) call.kernels().convolutionInputGrad(g, call.threads());
  return nullptr;
}

/** convolutionWeightGrad(dy…, x…, dWeight…, shape…, accumulate) */
napi_value convolutionWeightGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "conv2dWeightGrad");
  const View dy = call.view(), x = call.view(), dWeight = call.view();
  ConvolutionGradient g{};
  g.shape = readShape(call);
  g.accumulate = call.flag();
  g.dy = call.floats(dy, results(g.shape), "dy");
  g.other = call.floats(x, pixels(g.shape), "x");
  g.out = call.floats(dWeight, taps(g.shape), "dWeight");
  if (call.ok()) call.kernels().convolutionWeightGrad(g, call.threads());
  return nullptr;
}

}  // namespace

const Method convolutionMethods[] = {{"convolution", convolution},
                                     {"convolutionInputGrad", convolutionInputGrad},
                                     {"convolutionWeightGrad", convolutionWeightGrad},
                                     {nullptr, nullptr}};

}  // namespace stemma

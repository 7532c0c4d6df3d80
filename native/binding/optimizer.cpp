#include "kernels/adamw.h"

#include "binding/call.h"
#include "kernels/reduce.h"

namespace stemma {

namespace {

/** Numbers of a Float64Array at the next place, and how many. */
struct Numbers {
  const double* data;
  size_t count;
};

Numbers numbers(Call& call) {
  size_t count = 0;
  const double* data = call.doubles(&count);
  return {data, count};
}

/**
 * adamw(table, learningRate, beta1, beta2, epsilon, step, gradientScale…, rateScales… or −1, 0); the table has ten
 * numbers a parameter.
 */
napi_value adamw(napi_env env, napi_callback_info info) {
  Call call(env, info, "adamw");
  const Numbers table = numbers(call);
  AdamWConstants constants{};
  constants.learningRate = call.number();
  constants.beta1 = call.number();
  constants.beta2 = call.number();
  constants.epsilon = call.number();
  constants.step = call.number();
  const float* scale = call.floats(call.view(), 1, "gradientScale");
  const int count = (int)(table.count / 10);
  const float* rateScales = call.floats(call.optionalView(), count, "rateScales");
  Scratched<AdamWTensor> tensors(count);
  for (int i = 0; i < count && call.ok(); i++) {
    const double* row = table.data + 10 * i;
    AdamWTensor& t = tensors[i];
    t.length = call.sizeOf(row[8]);
    t.weightDecay = (float)row[9];
    t.rateScale = rateScales ? rateScales[i] : 1;
    t.parameter = call.floats(call.viewAt(row), t.length, "parameter");
    t.gradient = call.floats(call.viewAt(row + 2), t.length, "gradient");
    t.firstMoment = call.floats(call.viewAt(row + 4), t.length, "firstMoment");
    t.secondMoment = call.floats(call.viewAt(row + 6), t.length, "secondMoment");
  }
  if (!call.ok()) return nullptr;
  constants.gradientScale = *scale;
  call.kernels().adamw(tensors.data(), count, constants, call.threads());
  return nullptr;
}

/** average(table, decay); the table has five numbers a parameter: average…, parameter…, length. */
napi_value average(napi_env env, napi_callback_info info) {
  Call call(env, info, "average");
  const Numbers table = numbers(call);
  const double decay = call.number();
  const int count = (int)(table.count / 5);
  Scratched<AveragedTensor> tensors(count);
  for (int i = 0; i < count && call.ok(); i++) {
    const double* row = table.data + 5 * i;
    const int64_t length = call.sizeOf(row[4]);
    tensors[i] = {call.floats(call.viewAt(row), length, "average"), call.floats(call.viewAt(row + 2), length, "parameter"),
                  length};
  }
  if (call.ok()) call.kernels().average(tensors.data(), count, decay, call.threads());
  return nullptr;
}

/** globalNorm(table, out…); the table has three numbers a view: handle, offset, length. */
napi_value globalNorm(napi_env env, napi_callback_info info) {
  Call call(env, info, "globalNorm");
  const Numbers table = numbers(call);
  float* out = call.floats(call.view(), 1, "out");
  const int count = (int)(table.count / 3);
  Scratched<Span> spans(count);
  for (int i = 0; i < count && call.ok(); i++) {
    const double* row = table.data + 3 * i;
    const int64_t length = call.sizeOf(row[2]);
    spans[i] = {call.floats(call.viewAt(row), length, "view"), length};
  }
  if (call.ok()) call.kernels().globalNorm(spans.data(), count, out, call.threads());
  return nullptr;
}

}  // namespace

const Method optimizerMethods[] = {
    {"adamw", adamw}, {"average", average}, {"globalNorm", globalNorm}, {nullptr, nullptr}};

}  // namespace stemma

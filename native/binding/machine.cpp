#include "binding/call.h"

namespace stemma {

namespace {

using Measure = double (*)(double seconds, int threads);

/** name(seconds, threads): the measured rate per second. */
napi_value measure(napi_env env, napi_callback_info info, const char* name, Measure KernelTable::*measure) {
  Call call(env, info, name);
  const double seconds = call.number();
  const int64_t threads = call.size();
  if (call.ok() && (!(seconds > 0 && seconds <= 60) || threads < 1 || threads > 512)) {
    call.fail("needs seconds in (0, 60] and 1 to 512 threads");
  }
  if (!call.ok()) return nullptr;
  napi_value result;
  napi_create_double(env, (call.kernels().*measure)(seconds, (int)threads), &result);
  return result;
}

napi_value floatPeak(napi_env env, napi_callback_info info) {
  return measure(env, info, "floatPeak", &KernelTable::floatPeak);
}

napi_value bfloat16Peak(napi_env env, napi_callback_info info) {
  return measure(env, info, "bfloat16Peak", &KernelTable::bfloat16Peak);
}

napi_value readBandwidth(napi_env env, napi_callback_info info) {
  return measure(env, info, "readBandwidth", &KernelTable::readBandwidth);
}

}  // namespace

const Method machineMethods[] = {
    {"floatPeak", floatPeak},
    {"bfloat16Peak", bfloat16Peak},
    {"readBandwidth", readBandwidth},
    {nullptr, nullptr},
};

}  // namespace stemma

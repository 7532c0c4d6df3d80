#include <string.h>

#include "binding/call.h"

namespace stemma {

namespace {

napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

/** allocate(length): a handle, or -1 when there is no memory for it. */
napi_value allocate(napi_env env, napi_callback_info info) {
  Call call(env, info, "allocate");
  const int64_t length = call.size();
  if (!call.ok()) return nullptr;
  return number(env, (double)acquireStorage(length));
}

/** release(handle); does nothing for a handle that is no longer live. */
napi_value release(napi_env env, napi_callback_info info) {
  Call call(env, info, "release");
  const int64_t handle = call.size();
  if (call.ok()) releaseStorage(handle);
  return nullptr;
}

/** write(handle, offset, values) */
napi_value write(napi_env env, napi_callback_info info) {
  Call call(env, info, "write");
  const View view = call.view();
  size_t count = 0;
  const void* values = call.typedArray(&count);
  float* to = call.floats(view, (int64_t)count, "storage");
  if (call.ok() && count > 0) memcpy(to, values, count * 4);
  return nullptr;
}

/** read(handle, offset, values): fills the typed array. */
napi_value read(napi_env env, napi_callback_info info) {
  Call call(env, info, "read");
  const View view = call.view();
  size_t count = 0;
  void* values = call.typedArray(&count);
  const float* from = call.floats(view, (int64_t)count, "storage");
  if (call.ok() && count > 0) memcpy(values, from, count * 4);
  return nullptr;
}

/** memory(): [bytes in use, bytes pooled, largest number of bytes in use] */
napi_value memory(napi_env env, napi_callback_info) {
  const MemoryUse use = memoryUse();
  const double values[] = {(double)use.inUse, (double)use.pooled, (double)use.peak};
  napi_value list;
  napi_create_array_with_length(env, 3, &list);
  for (uint32_t i = 0; i < 3; i++) napi_set_element(env, list, i, number(env, values[i]));
  return list;
}

napi_value resetPeak(napi_env, napi_callback_info) {
  resetMemoryPeak();
  return nullptr;
}

napi_value trim(napi_env, napi_callback_info) {
  trimMemory();
  return nullptr;
}

}  // namespace

const Method memoryMethods[] = {
    {"allocate", allocate}, {"release", release},     {"write", write}, {"read", read},
    {"memory", memory},     {"resetPeak", resetPeak}, {"trim", trim},   {nullptr, nullptr},
};

}  // namespace stemma

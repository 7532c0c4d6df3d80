#include <string.h>

#include "binding/call.h"

namespace stemma {

namespace {

napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

/** allocate(length, format): a handle, or -1 when there is no memory for it. */
napi_value allocate(napi_env env, napi_callback_info info) {
  Call call(env, info, "allocate");
  const int64_t length = call.size();
  const WeightFormat format = call.choice<WeightFormat>(kWeightFormats);
  if (length % blockLength(format) != 0) call.fail("the elements are no whole blocks of their format");
  if (!call.ok()) return nullptr;
  return number(env, (double)acquireStorage(length, format));
}

/** release(handle); does nothing for a handle that is no longer live. */
napi_value release(napi_env env, napi_callback_info info) {
  Call call(env, info, "release");
  const int64_t handle = call.size();
  if (call.ok()) releaseStorage(handle);
  return nullptr;
}

/** A typed array and the memory that it is copied to or from, which is as long. */
struct Copy {
  void* memory;
  void* values;
  size_t bytes;
};

/** Three arguments: handle, offset, values. Numbers are copied as numbers, weights as the bytes of their blocks. */
Copy copyOf(Call& call) {
  const WeightView view = call.weightView();
  const Values values = call.typedArray();
  const bool isWeights = view.format != WeightFormat::float32;
  if (isWeights != values.isBytes) call.fail("values are of another kind than the storage");
  const int64_t bytesEach = isWeights ? blockBytes(view.format) : 4;
  const int64_t blocks = isWeights ? values.elements / bytesEach : values.elements;
  if (isWeights && values.elements % bytesEach != 0) call.fail("values end within a block");
  const void* memory = call.weights(view, times(blocks, blockLength(view.format)), blockLength(view.format), "storage");
  return {(void*)memory, values.data, call.ok() ? (size_t)(blocks * bytesEach) : 0};
}

/** write(handle, offset, values) */
napi_value write(napi_env env, napi_callback_info info) {
  Call call(env, info, "write");
  const Copy copy = copyOf(call);
  if (copy.bytes > 0) memcpy(copy.memory, copy.values, copy.bytes);
  return nullptr;
}

/** read(handle, offset, values): fills the typed array. */
napi_value read(napi_env env, napi_callback_info info) {
  Call call(env, info, "read");
  const Copy copy = copyOf(call);
  if (copy.bytes > 0) memcpy(copy.values, copy.memory, copy.bytes);
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

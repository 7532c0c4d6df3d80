#include "binding/call.h"

#include <stdio.h>

namespace stemma {

/** The call that `repeat` has under way in this thread. */
static thread_local const RepeatedCall* repeated = nullptr;

void Call::repeat(napi_env env, napi_callback method, const RepeatedCall& call) {
  repeated = &call;
  method(env, nullptr);
  repeated = nullptr;
}

Call::Call(napi_env env, napi_callback_info info, const char* kernel) : env_(env), kernel_(kernel) {
  if (!info) {
    context_ = &repeated->context;
    numbers_ = repeated->numbers;
    count_ = repeated->count;
    return;
  }
  void* data = nullptr;
  napi_get_cb_info(env, info, &count_, arguments_, nullptr, &data);
  context_ = (const Context*)data;
  if (count_ > kMaxArguments) count_ = kMaxArguments;
}

napi_value Call::next() {
  if (next_ < count_ && !numbers_) return arguments_[next_++];
  fail(numbers_ ? "a call with anything but numbers cannot be repeated" : "too few arguments");
  return nullptr;
}

double Call::number() {
  if (numbers_ && next_ < count_) return failed_ ? 0 : numbers_[next_++];
  const napi_value value = next();
  double result = 0;
  if (failed_ || napi_get_value_double(env_, value, &result) == napi_ok) return failed_ ? 0 : result;
  char what[64];
  snprintf(what, sizeof what, "argument %zu is not a number", next_);
  fail(what);
  return 0;
}

/** Whether a number is a size: whole, at least 0, and exact. Also false for NaN. */
static bool isSize(double value) {
  return value >= 0 && value < 9007199254740992.0 && value == (double)(int64_t)value;
}

int64_t Call::sizeOf(double entry) {
  if (isSize(entry)) return (int64_t)entry;
  fail("a size in the table is not a whole number of at least 0");
  return 0;
}

int64_t Call::size() {
  const double value = number();
  if (isSize(value)) return (int64_t)value;
  char what[96];
  snprintf(what, sizeof what, "argument %zu is %g, not a whole number of at least 0", next_, value);
  fail(what);
  return 0;
}

WeightView Call::weightViewOf(int64_t handle, int64_t offset) {
  if (failed_) return {};
  const Stretch stretch = lookUpStorage(handle);
  if (!stretch.data) {
    fail(
        "an operand's memory was given back, by the end of its scope, by backward passing it, or by release(); return "
        "it from the scope, or call keep() on it, to use it afterwards");
    return {};
  }
  if (offset < 0 || offset > stretch.length || offset % blockLength(stretch.format) != 0) {
    char what[96];
    snprintf(what, sizeof what, "offset %lld is outside a storage of %lld elements, or within a block of it",
             (long long)offset, (long long)stretch.length);
    fail(what);
    return {};
  }
  return {(const char*)stretch.data + bytesOf(stretch.format, offset), stretch.length - offset, stretch.format};
}

View Call::viewOf(int64_t handle, int64_t offset) {
  const WeightView view = weightViewOf(handle, offset);
  if (view.format != WeightFormat::float32) {
    fail("an operand holds weights in a format that it is not read in");
    return {nullptr, 0};
  }
  return {(float*)view.data, view.available};
}

WeightView Call::weightView() {
  const int64_t handle = size();
  const int64_t offset = size();
  return weightViewOf(handle, offset);
}

View Call::view() {
  const int64_t handle = size();
  const int64_t offset = size();
  return viewOf(handle, offset);
}

View Call::optionalView() {
  if (next_ + 1 < count_) {
    double handle = 0;
    if (numbers_) handle = numbers_[next_];
    else if (napi_get_value_double(env_, arguments_[next_], &handle) != napi_ok) handle = 0;
    if (handle == -1) {
      next_ += 2;
      return {nullptr, 0};
    }
  }
  return view();
}

Draw Call::draw() {
  const uint32_t first = (uint32_t)size();
  const uint32_t second = (uint32_t)size();
  return {{first, second}, (uint32_t)size()};
}

/** Two numbers of a table, or zeros. */
static bool isView(const double* handleAndOffset) { return isSize(handleAndOffset[0]) && isSize(handleAndOffset[1]); }

View Call::viewAt(const double* handleAndOffset) {
  if (isView(handleAndOffset)) return viewOf((int64_t)handleAndOffset[0], (int64_t)handleAndOffset[1]);
  fail("the table holds something that is not a view");
  return {nullptr, 0};
}

WeightView Call::weightViewAt(const double* handleAndOffset) {
  if (isView(handleAndOffset)) return weightViewOf((int64_t)handleAndOffset[0], (int64_t)handleAndOffset[1]);
  fail("the table holds something that is not a view");
  return {};
}

const double* Call::doubles(size_t* count) {
  const napi_value value = next();
  bool isTypedArray = false;
  if (!failed_) napi_is_typedarray(env_, value, &isTypedArray);
  napi_typedarray_type type = napi_uint8_array;
  void* data = nullptr;
  *count = 0;
  if (isTypedArray) napi_get_typedarray_info(env_, value, &type, count, &data, nullptr, nullptr);
  if (type == napi_float64_array) return (const double*)data;
  *count = 0;
  fail("the table must be a Float64Array");
  return nullptr;
}

Values Call::typedArray() {
  const napi_value value = next();
  bool isTypedArray = false;
  if (!failed_) napi_is_typedarray(env_, value, &isTypedArray);
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t elements = 0;
  if (isTypedArray) napi_get_typedarray_info(env_, value, &type, &elements, &data, nullptr, nullptr);
  if (type == napi_float32_array || type == napi_int32_array) return {data, (int64_t)elements, false};
  if (type == napi_uint8_array) return {data, (int64_t)elements, true};
  fail("values must be a Float32Array, an Int32Array or a Uint8Array");
  return {};
}

bool Call::hasRoom(int64_t needed, int64_t available, const char* name) {
  if (needed >= 0 && needed <= available) return true;
  char what[128];
  snprintf(what, sizeof what, "%s needs %lld elements but its storage has %lld from there on", name, (long long)needed,
           (long long)available);
  fail(what);
  return false;
}

float* Call::floats(const View& view, int64_t needed, const char* name) {
  if (view.data) hasRoom(needed, view.available, name);
  return failed_ ? nullptr : view.data;
}

const void* Call::weights(const WeightView& view, int64_t needed, int64_t rowLength, const char* name) {
  if (!failed_ && hasRoom(needed, view.available, name) && rowLength % blockLength(view.format) != 0) {
    char what[128];
    snprintf(what, sizeof what, "%s has rows of %lld numbers, which are no whole blocks of its format", name,
             (long long)rowLength);
    fail(what);
  }
  return failed_ ? nullptr : view.data;
}

void Call::checkIds(const int32_t* ids, int64_t count, int64_t limit) {
  if (failed_) return;
  for (int64_t i = 0; i < count; i++) {
    if (ids[i] < limit) continue;
    char what[128];
    snprintf(what, sizeof what, "id %d at place %lld is not below %lld; check the vocabulary size", ids[i],
             (long long)i, (long long)limit);
    return failWith(context_->dataError, what);
  }
}

void Call::fail(const char* what) { failWith(context_ ? context_->stemmaError : nullptr, what); }

void Call::failWith(napi_ref errorClass, const char* what) {
  if (failed_) return;
  failed_ = true;
  char message[320];
  snprintf(message, sizeof message, "%s: %s", kernel_, what);
  napi_value constructor = nullptr, text = nullptr, error = nullptr;
  napi_create_string_utf8(env_, message, NAPI_AUTO_LENGTH, &text);
  if (errorClass) napi_get_reference_value(env_, errorClass, &constructor);
  if (constructor && napi_new_instance(env_, constructor, 1, &text, &error) == napi_ok) napi_throw(env_, error);
  else napi_throw_error(env_, nullptr, message);
}

}  // namespace stemma

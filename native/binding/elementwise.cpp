#include "kernels/elementwise.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** fill(out…, length, value) */
napi_value fill(napi_env env, napi_callback_info info) {
  Call call(env, info, "fill");
  const View out = call.view();
  const int64_t length = call.size();
  const float value = (float)call.number();
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().fill(to, value, length, call.threads());
  return nullptr;
}

/** affine(x…, out…, length, scale, shift) */
napi_value affine(napi_env env, napi_callback_info info) {
  Call call(env, info, "affine");
  const View x = call.view(), out = call.view();
  const int64_t length = call.size();
  const float scale = (float)call.number(), shift = (float)call.number();
  const float* from = call.floats(x, length, "x");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().affine(from, scale, shift, to, length, call.threads());
  return nullptr;
}

/** accumulate(x…, out…, length) */
napi_value accumulate(napi_env env, napi_callback_info info) {
  Call call(env, info, "accumulate");
  const View x = call.view(), out = call.view();
  const int64_t length = call.size();
  const float* from = call.floats(x, length, "x");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().accumulate(from, to, length, call.threads());
  return nullptr;
}

/** select(condition…, a…, b…, out…, length) */
napi_value select(napi_env env, napi_callback_info info) {
  Call call(env, info, "select");
  const View condition = call.view(), a = call.view(), b = call.view(), out = call.view();
  const int64_t length = call.size();
  const float* where = call.floats(condition, length, "condition");
  const float* first = call.floats(a, length, "a");
  const float* second = call.floats(b, length, "b");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().selectWhere(where, first, second, to, length, call.threads());
  return nullptr;
}

/** normal(out…, length, draw…) */
napi_value normal(napi_env env, napi_callback_info info) {
  Call call(env, info, "normal");
  const View out = call.view();
  const int64_t length = call.size();
  const Draw draw = call.draw();
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().normal(draw, to, length, call.threads());
  return nullptr;
}

/** dropout(x…, out…, length, rate, draw…) */
napi_value dropout(napi_env env, napi_callback_info info) {
  Call call(env, info, "dropout");
  const View x = call.view(), out = call.view();
  const int64_t length = call.size();
  const double rate = call.number();
  if (!(rate >= 0 && rate < 1)) call.fail("the rate must be at least 0 and less than 1");
  const Draw draw = call.draw();
  const float* from = call.floats(x, length, "x");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().dropout(from, rate, draw, to, length, call.threads());
  return nullptr;
}

/** Elements from the first to behind the last that a walk over `shape` touches; 0 when it is empty. */
int64_t reach(int rank, const int64_t* shape, const int64_t* strides) {
  int64_t last = 0;
  for (int axis = 0; axis < rank; axis++) {
    if (shape[axis] == 0) return 0;
    last = plus(last, times(shape[axis] - 1, strides[axis]));
  }
  return plus(last, 1);
}

/** A rank, then for each axis its length and strides of two sides. */
Broadcast walk(Call& call) {
  Broadcast result{};
  const int64_t rank = call.size();
  if (rank > kMaxRank) call.fail("more than 8 axes");
  result.rank = call.ok() ? (int)rank : 0;
  for (int axis = 0; axis < result.rank; axis++) {
    result.shape[axis] = call.size();
    result.stridesA[axis] = call.size();
    result.stridesB[axis] = call.size();
  }
  return result;
}

/** binary(kind, a…, b…, out…, rank, then for each axis length, stride of a, stride of b) */
napi_value binary(napi_env env, napi_callback_info info) {
  Call call(env, info, "binary");
  const BinaryKind kind = call.choice<BinaryKind>(kBinaryKinds);
  const View a = call.view(), b = call.view(), out = call.view();
  const Broadcast shape = walk(call);
  int64_t length = 1;
  for (int axis = 0; axis < shape.rank; axis++) length = times(length, shape.shape[axis]);
  const float* first = call.floats(a, reach(shape.rank, shape.shape, shape.stridesA), "a");
  const float* second = call.floats(b, reach(shape.rank, shape.shape, shape.stridesB), "b");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().binary(kind, shape, first, second, to, call.threads());
  return nullptr;
}

/** transfer(from…, to…, accumulate, rank, then for each axis length, stride from, stride to) */
napi_value transfer(napi_env env, napi_callback_info info) {
  Call call(env, info, "transfer");
  const View from = call.view(), to = call.view();
  const bool accumulates = call.flag();
  const Broadcast shape = walk(call);
  Transfer copy{};
  copy.rank = shape.rank;
  for (int axis = 0; axis < shape.rank; axis++) {
    copy.shape[axis] = shape.shape[axis];
    copy.from[axis] = shape.stridesA[axis];
    copy.to[axis] = shape.stridesB[axis];
  }
  const float* source = call.floats(from, reach(copy.rank, copy.shape, copy.from), "from");
  float* target = call.floats(to, reach(copy.rank, copy.shape, copy.to), "to");
  if (call.ok()) call.kernels().transfer(copy, source, target, accumulates, call.threads());
  return nullptr;
}

}  // namespace

const Method elementwiseMethods[] = {
    {"fill", fill},       {"affine", affine}, {"accumulate", accumulate}, {"select", select},
    {"dropout", dropout}, {"binary", binary}, {"transfer", transfer},     {"normal", normal},
    {nullptr, nullptr},
};

}  // namespace stemma

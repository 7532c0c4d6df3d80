#include "kernels/unary.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** unary(kind, x…, out…, length) */
napi_value unary(napi_env env, napi_callback_info info) {
  Call call(env, info, "unary");
  const UnaryKind kind = call.choice<UnaryKind>(kUnaryKinds);
  const View x = call.view(), out = call.view();
  const int64_t length = call.size();
  const float* from = call.floats(x, length, "x");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().unary(kind, from, to, length, call.threads());
  return nullptr;
}

/** unaryGrad(kind, x…, dy…, dx…, length) */
napi_value unaryGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "unaryGrad");
  const UnaryKind kind = call.choice<UnaryKind>(kUnaryKinds);
  const View x = call.view(), dy = call.view(), dx = call.view();
  const int64_t length = call.size();
  const float* at = call.floats(x, length, "x");
  const float* from = call.floats(dy, length, "dy");
  float* to = call.floats(dx, length, "dx");
  if (call.ok()) call.kernels().unaryGrad(kind, at, from, to, length, call.threads());
  return nullptr;
}

/** gatedUnit(kind, x…, out…, rows, width) */
napi_value gatedUnit(napi_env env, napi_callback_info info) {
  Call call(env, info, "gatedUnit");
  const UnaryKind kind = call.choice<UnaryKind>(kUnaryKinds);
  const View x = call.view(), out = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(x, times(2, times(rows, width)), "x");
  float* to = call.floats(out, times(rows, width), "out");
  if (call.ok() && width > 0) call.kernels().gatedUnit(kind, from, to, rows, width, call.threads());
  return nullptr;
}

/** gatedUnitGrad(kind, x…, dy…, dx…, rows, width) */
napi_value gatedUnitGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "gatedUnitGrad");
  const UnaryKind kind = call.choice<UnaryKind>(kUnaryKinds);
  const View x = call.view(), dy = call.view(), dx = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* at = call.floats(x, times(2, times(rows, width)), "x");
  const float* from = call.floats(dy, times(rows, width), "dy");
  float* to = call.floats(dx, times(2, times(rows, width)), "dx");
  if (call.ok() && width > 0) call.kernels().gatedUnitGrad(kind, at, from, to, rows, width, call.threads());
  return nullptr;
}

}  // namespace

const Method unaryMethods[] = {
    {"unary", unary},         {"unaryGrad", unaryGrad},         {"gatedUnit", gatedUnit},
    {"gatedUnitGrad", gatedUnitGrad}, {nullptr, nullptr},
};

}  // namespace stemma

#include "binding/call.h"

namespace stemma {

namespace {

/** Names that are arguments of templates. */
namespace names {
constexpr char softmax[] = "softmax", logSoftmax[] = "logSoftmax", softmaxGrad[] = "softmaxGrad",
               logSoftmaxGrad[] = "logSoftmaxGrad";
}

/** sum(x…, out…, outer, axis, inner) */
napi_value sum(napi_env env, napi_callback_info info) {
  Call call(env, info, "sum");
  const View x = call.view(), out = call.view();
  const int64_t outer = call.size(), axis = call.size(), inner = call.size();
  const float* from = call.floats(x, times(outer, times(axis, inner)), "x");
  float* to = call.floats(out, times(outer, inner), "out");
  if (call.ok() && times(outer, inner) > 0) call.kernels().sum(from, outer, axis, inner, to, call.threads());
  return nullptr;
}

/** max(x…, out…, outer, axis, inner) */
napi_value max(napi_env env, napi_callback_info info) {
  Call call(env, info, "max");
  const View x = call.view(), out = call.view();
  const int64_t outer = call.size(), axis = call.size(), inner = call.size();
  const float* from = call.floats(x, times(outer, times(axis, inner)), "x");
  float* to = call.floats(out, times(outer, inner), "out");
  if (call.ok() && times(outer, inner) > 0) call.kernels().maxAlong(from, outer, axis, inner, to, call.threads());
  return nullptr;
}

/** argmax(x…, out…, rows, width) */
napi_value argmax(napi_env env, napi_callback_info info) {
  Call call(env, info, "argmax");
  const View x = call.view(), out = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(x, times(rows, width), "x");
  int32_t* to = call.ints(out, rows, "out");
  if (call.ok()) call.kernels().argmax(from, rows, width, to, call.threads());
  return nullptr;
}

/** softmax(x…, out…, rows, width), and logSoftmax */
template <void (*KernelTable::*kernel)(const float*, float*, int64_t, int64_t, int), const char* name>
napi_value softmaxLike(napi_env env, napi_callback_info info) {
  Call call(env, info, name);
  const View x = call.view(), out = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(x, times(rows, width), "x");
  float* to = call.floats(out, times(rows, width), "out");
  if (call.ok() && width > 0) (call.kernels().*kernel)(from, to, rows, width, call.threads());
  return nullptr;
}

/** softmaxGrad(y…, dy…, dx…, rows, width), and logSoftmaxGrad */
template <void (*KernelTable::*kernel)(const float*, const float*, float*, int64_t, int64_t, int), const char* name>
napi_value softmaxLikeGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, name);
  const View y = call.view(), dy = call.view(), dx = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* at = call.floats(y, times(rows, width), "y");
  const float* from = call.floats(dy, times(rows, width), "dy");
  float* to = call.floats(dx, times(rows, width), "dx");
  if (call.ok() && width > 0) (call.kernels().*kernel)(at, from, to, rows, width, call.threads());
  return nullptr;
}

/** crossEntropy(logits…, targets…, losses…, dLogits…, rows, classes, scale) */
napi_value crossEntropy(napi_env env, napi_callback_info info) {
  Call call(env, info, "crossEntropy");
  const View logits = call.view(), targets = call.view(), losses = call.view(), dLogits = call.optionalView();
  const int64_t rows = call.size(), classes = call.size();
  const float scale = (float)call.number();
  const float* from = call.floats(logits, times(rows, classes), "logits");
  const int32_t* ids = call.ints(targets, rows, "targets");
  float* to = call.floats(losses, rows, "losses");
  float* d = call.floats(dLogits, times(rows, classes), "dLogits");
  call.checkIds(ids, rows, classes);
  if (call.ok()) call.kernels().crossEntropy(from, ids, to, d, scale, rows, classes, call.threads());
  return nullptr;
}

/** gatherRows(table…, ids…, out…, tableRows, rows, width) */
napi_value gatherRows(napi_env env, napi_callback_info info) {
  Call call(env, info, "gatherRows");
  const WeightView table = call.weightView();
  const View ids = call.view(), out = call.view();
  const int64_t tableRows = call.size(), rows = call.size(), width = call.size();
  const void* from = call.weights(table, times(tableRows, width), width, "table");
  const int32_t* at = call.ints(ids, rows, "ids");
  float* to = call.floats(out, times(rows, width), "out");
  call.checkIds(at, rows, tableRows);
  if (call.ok()) call.kernels().gatherRows(table.format, from, at, to, rows, width, call.threads());
  return nullptr;
}

/** decode(x…, out…, length) */
napi_value decode(napi_env env, napi_callback_info info) {
  Call call(env, info, "decode");
  const WeightView x = call.weightView();
  const View out = call.view();
  const int64_t length = call.size();
  const void* from = call.weights(x, length, length, "x");
  float* to = call.floats(out, length, "out");
  if (call.ok()) call.kernels().decode(x.format, from, to, length, call.threads());
  return nullptr;
}

/** setRows(rows…, ids…, table…, tableRows, rows, width); the table may be of bfloat16 */
napi_value setRows(napi_env env, napi_callback_info info) {
  Call call(env, info, "setRows");
  const View from = call.view(), ids = call.view();
  const WeightView table = call.weightView();
  const int64_t tableRows = call.size(), rows = call.size(), width = call.size();
  const float* source = call.floats(from, times(rows, width), "rows");
  const int32_t* at = call.ints(ids, rows, "ids");
  void* to = (void*)call.weights(table, times(tableRows, width), 1, "table");
  const bool isKnown = table.format == WeightFormat::float32 || table.format == WeightFormat::bfloat16;
  if (call.ok() && !isKnown) call.fail("the table must be of float32 or bfloat16");
  call.checkIds(at, rows, tableRows);
  if (call.ok()) call.kernels().setRows(table.format, source, at, to, rows, width, call.threads());
  return nullptr;
}

/** scatterAddRows(rows…, ids…, table…, tableRows, rows, width) */
napi_value scatterAddRows(napi_env env, napi_callback_info info) {
  Call call(env, info, "scatterAddRows");
  const View from = call.view(), ids = call.view(), table = call.view();
  const int64_t tableRows = call.size(), rows = call.size(), width = call.size();
  const float* source = call.floats(from, times(rows, width), "rows");
  const int32_t* at = call.ints(ids, rows, "ids");
  float* to = call.floats(table, times(tableRows, width), "table");
  call.checkIds(at, rows, tableRows);
  if (call.ok()) call.kernels().scatterAddRows(source, at, to, rows, width, call.threads());
  return nullptr;
}

/** pick(x…, ids…, out…, rows, width) */
napi_value pick(napi_env env, napi_callback_info info) {
  Call call(env, info, "pick");
  const View x = call.view(), ids = call.view(), out = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(x, times(rows, width), "x");
  const int32_t* at = call.ints(ids, rows, "ids");
  float* to = call.floats(out, rows, "out");
  call.checkIds(at, rows, width);
  if (call.ok()) call.kernels().pick(from, at, to, rows, width, call.threads());
  return nullptr;
}

/** pickGrad(dy…, ids…, dx…, rows, width) */
napi_value pickGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "pickGrad");
  const View dy = call.view(), ids = call.view(), dx = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(dy, rows, "dy");
  const int32_t* at = call.ints(ids, rows, "ids");
  float* to = call.floats(dx, times(rows, width), "dx");
  call.checkIds(at, rows, width);
  if (call.ok()) call.kernels().pickGrad(from, at, to, rows, width, call.threads());
  return nullptr;
}

}  // namespace

const Method rowMethods[] = {
    {"sum", sum},
    {"max", max},
    {"argmax", argmax},
    {names::softmax, softmaxLike<&KernelTable::softmax, names::softmax>},
    {names::logSoftmax, softmaxLike<&KernelTable::logSoftmax, names::logSoftmax>},
    {names::softmaxGrad, softmaxLikeGrad<&KernelTable::softmaxGrad, names::softmaxGrad>},
    {names::logSoftmaxGrad, softmaxLikeGrad<&KernelTable::logSoftmaxGrad, names::logSoftmaxGrad>},
    {"crossEntropy", crossEntropy},
    {"gatherRows", gatherRows},
    {"decode", decode},
    {"setRows", setRows},
    {"scatterAddRows", scatterAddRows},
    {"pick", pick},
    {"pickGrad", pickGrad},
    {nullptr, nullptr},
};

}  // namespace stemma

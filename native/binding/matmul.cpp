#include "kernels/matmul.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** Elements from the first of a batch of matrices to the end of the last; 0 for an empty batch. */
int64_t extent(int64_t batch, int64_t stride, int64_t rows, int64_t columns) {
  return batch == 0 ? 0 : plus(times(batch - 1, stride), times(rows, columns));
}

/** The right operand of a product whose sizes are known; it and every matrix of its batch begin with whole blocks. */
const void* weightsOf(Call& call, Matmul& p, const WeightView& b) {
  p.weights = b.format;
  if (p.batchStrideB % blockLength(b.format) != 0) call.fail("the matrices of b are no whole blocks of its format");
  return call.weights(b, extent(p.batch, p.batchStrideB, p.k, p.n), p.transposeB ? p.k : p.n, "b");
}

/**
 * matmul(a…, b…, out…, batch, m, n, k, transposeA, transposeB, batchStrideA, batchStrideB, accumulate, useBfloat16,
 * roundsRows, bias…, residual…, activation, preActivation…); a view is a handle and an offset.
 */
napi_value matmul(napi_env env, napi_callback_info info) {
  Call call(env, info, "matmul");
  Matmul p{};
  const View a = call.view();
  const WeightView b = call.weightView();
  const View out = call.view();
  p.batch = call.size();
  p.m = call.size();
  p.n = call.size();
  p.k = call.size();
  p.transposeA = call.flag();
  p.transposeB = call.flag();
  p.batchStrideA = call.size();
  p.batchStrideB = call.size();
  p.accumulate = call.flag();
  p.useBfloat16 = call.flag();
  p.roundsRows = call.flag();
  const View bias = call.optionalView(), residual = call.optionalView();
  p.activation = call.choice<Activation>(7);
  const View preActivation = call.optionalView();
  const int64_t elements = times(p.batch, times(p.m, p.n));
  p.a = call.floats(a, extent(p.batch, p.batchStrideA, p.m, p.k), "a");
  p.b = weightsOf(call, p, b);
  p.out = call.floats(out, elements, "out");
  p.bias = call.floats(bias, p.n, "bias");
  p.residual = call.floats(residual, elements, "residual");
  p.preActivation = call.floats(preActivation, elements, "preActivation");
  if (call.ok() && elements > 0) call.kernels().matmul(p, call.threads());
  return nullptr;
}

/**
 * matmuls(table, useBfloat16, roundsRows); the table has eleven numbers a product: a…, b…, out…, m, n, k, transposeA, transposeB.
 */
napi_value matmuls(napi_env env, napi_callback_info info) {
  constexpr size_t kColumns = 11;
  Call call(env, info, "matmuls");
  size_t numbers = 0;
  const double* table = call.doubles(&numbers);
  const bool useBfloat16 = call.flag(), roundsRows = call.flag();
  const int count = (int)(numbers / kColumns);
  Scratched<Matmul> products(count);
  for (int i = 0; i < count && call.ok(); i++) {
    const double* row = table + kColumns * i;
    Matmul p{};
    p.batch = 1;
    p.m = call.sizeOf(row[6]);
    p.n = call.sizeOf(row[7]);
    p.k = call.sizeOf(row[8]);
    p.transposeA = row[9] != 0;
    p.transposeB = row[10] != 0;
    p.useBfloat16 = useBfloat16;
    p.roundsRows = roundsRows;
    p.a = call.floats(call.viewAt(row), times(p.m, p.k), "a");
    p.b = weightsOf(call, p, call.weightViewAt(row + 2));
    p.out = call.floats(call.viewAt(row + 4), times(p.m, p.n), "out");
    products[i] = p;
  }
  if (call.ok()) call.kernels().matmuls(products.data(), count, call.threads());
  return nullptr;
}

}  // namespace

const Method matmulMethods[] = {{"matmul", matmul}, {"matmuls", matmuls}, {nullptr, nullptr}};

}  // namespace stemma

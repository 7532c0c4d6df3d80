#include "kernels/attention.h"

#include "binding/call.h"

namespace stemma {

namespace {

/**
 * batch, heads, keyValueHeads, queries, keys, headDim, scale, causal, useBfloat16, mask… or none, its width, cap,
 * bias…, slopes…, drops, rate, draw…
 */
AttentionRule readRule(Call& call) {
  AttentionRule r{};
  r.batch = call.size();
  r.heads = call.size();
  r.keyValueHeads = call.size();
  r.queries = call.size();
  r.keys = call.size();
  r.headDim = call.size();
  r.scale = (float)call.number();
  r.causal = call.flag();
  r.useBfloat16 = call.flag();
  const View mask = call.optionalView();
  r.maskWidth = call.size();
  r.cap = (float)call.number();
  const View bias = call.optionalView(), slopes = call.optionalView();
  r.mask = call.ints(mask, times(r.batch, r.maskWidth), "mask");
  if (r.mask && r.maskWidth != 3 && r.maskWidth != plus(3, r.queries)) call.fail("the mask has another width");
  r.bias = call.floats(bias, times(r.heads, times(r.queries, r.keys)), "bias");
  r.slopes = call.floats(slopes, r.heads, "slopes");
  r.drops = call.flag();
  r.rate = call.number();
  r.draw = call.draw();
  if (r.keyValueHeads == 0 || r.heads % r.keyValueHeads != 0) call.fail("keyValueHeads does not divide heads");
  if (!(r.cap >= 0)) call.fail("the cap of scores must not be negative");
  if (!(r.rate >= 0 && r.rate < 1)) call.fail("the rate of dropout must be at least 0 and less than 1");
  return r;
}

/** A view, then elements from row to row and from sequence to sequence. */
HeadRows readRows(Call& call, const AttentionRule& r, int64_t rows, int64_t heads, const char* name) {
  const View view = call.view();
  HeadRows result{nullptr, call.size(), call.size()};
  const bool isEmpty = r.batch == 0 || rows == 0;
  const int64_t last = plus(times(r.batch - 1, result.batchStride), times(rows - 1, result.rowStride));
  result.data = call.floats(view, isEmpty ? 0 : plus(last, times(heads, r.headDim)), name);
  return result;
}

/** The same of keys or values, which may be stored as bfloat16. */
HeadRows readStored(Call& call, const AttentionRule& r, WeightFormat* format, const char* name) {
  const WeightView view = call.weightView();
  HeadRows result{nullptr, call.size(), call.size()};
  const bool isEmpty = r.batch == 0 || r.keys == 0;
  const int64_t last = plus(times(r.batch - 1, result.batchStride), times(r.keys - 1, result.rowStride));
  const int64_t width = times(r.keyValueHeads, r.headDim);
  result.data = (float*)call.weights(view, isEmpty ? 0 : plus(last, width), 1, name);
  *format = view.format;
  return result;
}

/** Elements of `[batch, queries, heads, headDim]`; 0 when there is nothing to compute. */
int64_t outElements(const AttentionRule& r) {
  return times(times(r.batch, r.queries), times(r.heads, r.headDim));
}

/** attention(rule…, query…, key…, value…, out…, logSumExp… or none) */
napi_value attention(napi_env env, napi_callback_info info) {
  Call call(env, info, "attention");
  Attention a{};
  a.rule = readRule(call);
  const AttentionRule& r = a.rule;
  a.query = readRows(call, r, r.queries, r.heads, "query");
  WeightFormat values = WeightFormat::float32;
  a.key = readStored(call, r, &a.stored, "key");
  a.value = readStored(call, r, &values, "value");
  const bool isKnown = a.stored == WeightFormat::float32 || a.stored == WeightFormat::bfloat16;
  if (call.ok() && (!isKnown || values != a.stored)) call.fail("keys and values must both be float32 or bfloat16");
  const View out = call.view(), logSumExp = call.optionalView();
  a.out = call.floats(out, outElements(r), "out");
  a.logSumExp = call.floats(logSumExp, times(r.batch, times(r.heads, r.queries)), "logSumExp");
  if (call.ok() && outElements(r) > 0) call.kernels().attention(a, call.threads());
  return nullptr;
}

/** attentionGrad(rule…, query…, key…, value…, out…, logSumExp…, dOut…, dQuery…, dKey…, dValue…, dBias… or none) */
napi_value attentionGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "attentionGrad");
  AttentionGradient g{};
  g.rule = readRule(call);
  const AttentionRule& r = g.rule;
  g.query = readRows(call, r, r.queries, r.heads, "query");
  g.key = readRows(call, r, r.keys, r.keyValueHeads, "key");
  g.value = readRows(call, r, r.keys, r.keyValueHeads, "value");
  const View out = call.view(), logSumExp = call.view(), dOut = call.view();
  g.out = call.floats(out, outElements(r), "out");
  g.logSumExp = call.floats(logSumExp, times(r.batch, times(r.heads, r.queries)), "logSumExp");
  g.dOut = call.floats(dOut, outElements(r), "dOut");
  g.dQuery = readRows(call, r, r.queries, r.heads, "dQuery");
  g.dKey = readRows(call, r, r.keys, r.keyValueHeads, "dKey");
  g.dValue = readRows(call, r, r.keys, r.keyValueHeads, "dValue");
  const View dBias = call.optionalView();
  g.dBias = call.floats(dBias, times(r.heads, times(r.queries, r.keys)), "dBias");
  if (call.ok() && times(r.batch, r.headDim) > 0) call.kernels().attentionGrad(g, call.threads());
  return nullptr;
}

/** heads, keyValueHeads, queries, keys, headDim, scale, cap, slopes… or none, window */
AttentionRule readRaggedRule(Call& call) {
  AttentionRule r{};
  r.batch = 1;
  r.heads = call.size();
  r.keyValueHeads = call.size();
  r.queries = call.size();
  r.keys = call.size();
  r.headDim = call.size();
  r.scale = (float)call.number();
  r.causal = true;
  r.cap = (float)call.number();
  const View slopes = call.optionalView();
  r.slopes = call.floats(slopes, r.heads, "slopes");
  r.window = call.size();
  if (r.keyValueHeads == 0 || r.heads % r.keyValueHeads != 0) call.fail("keyValueHeads does not divide heads");
  if (!(r.cap >= 0)) call.fail("the cap of scores must not be negative");
  return r;
}

/** Whether a sequence lies within queries and keys. */
bool isWithin(const RaggedSequence& s, const AttentionRule& r) {
  const bool isPositive = s.start >= 0 && s.length >= 0 && s.firstQuery >= 0 && s.queries >= 0 && s.firstKey >= 0;
  return isPositive && (int64_t)s.firstQuery + s.queries <= r.queries && (int64_t)s.firstKey + s.length <= r.keys;
}

/** raggedAttention(rule…, count, sequences…, query…, key…, value…, out…) */
napi_value raggedAttention(napi_env env, napi_callback_info info) {
  Call call(env, info, "raggedAttention");
  RaggedAttention a{};
  a.rule = readRaggedRule(call);
  const AttentionRule& r = a.rule;
  a.count = call.size();
  const View sequences = call.view();
  a.sequences = (const RaggedSequence*)call.ints(sequences, times(a.count, sizeof(RaggedSequence) / 4), "sequences");
  a.query = readRows(call, r, r.queries, r.heads, "query");
  WeightFormat values = WeightFormat::float32;
  a.key = readStored(call, r, &a.stored, "key");
  a.value = readStored(call, r, &values, "value");
  const bool isKnown = a.stored == WeightFormat::float32 || a.stored == WeightFormat::bfloat16;
  if (call.ok() && (!isKnown || values != a.stored)) call.fail("keys and values must both be float32 or bfloat16");
  const View out = call.view();
  a.out = call.floats(out, outElements(r), "out");
  for (int64_t s = 0; call.ok() && s < a.count; s++) {
    if (!isWithin(a.sequences[s], r)) call.fail("a sequence lies beyond the queries or the keys");
  }
  if (call.ok() && outElements(r) > 0) call.kernels().raggedAttention(a, call.threads());
  return nullptr;
}

}  // namespace

const Method attentionMethods[] = {{"attention", attention},
                                   {"attentionGrad", attentionGrad},
                                   {"raggedAttention", raggedAttention},
                                   {nullptr, nullptr}};

}  // namespace stemma

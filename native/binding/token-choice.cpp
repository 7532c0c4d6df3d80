#include "binding/call.h"

namespace stemma {

namespace {

/** Numbers of a row in the table, before its amounts. */
constexpr int64_t kRowNumbers = 13;

/** What is left of the lists that rows share. */
struct Lists {
  const double* numbers;
  int64_t numbersLeft;
  const int32_t* ids;
  int64_t idsLeft;

  const double* takeNumbers(Call& call, int64_t count) {
    if (count > numbersLeft) call.fail("the table is too short");
    if (!call.ok()) return nullptr;
    const double* taken = numbers;
    numbers += count;
    numbersLeft -= count;
    return taken;
  }

  /** Ids of tokens, or words of bits, which may be anything. */
  const int32_t* takeIds(Call& call, int64_t count, int64_t limit) {
    if (count > idsLeft) call.fail("the list of ids is too short");
    if (!call.ok()) return nullptr;
    const int32_t* taken = ids;
    ids += count;
    idsLeft -= count;
    for (int64_t i = 0; limit > 0 && i < count; i++) {
      if (taken[i] < 0 || taken[i] >= limit) call.fail("an id is outside the vocabulary");
    }
    return taken;
  }
};

/**
 * One row: temperature, topK, topP, minP, uniform, repetition penalty, given or −1, alternatives or −1, bits of the largest
 * weight; words of bits of what is allowed, ids that were seen, that are biased, that are lowered; then amounts of the
 * biased and of the lowered. The ids come in the same order.
 */
TokenChoice readChoice(Call& call, Lists& lists, int64_t width) {
  TokenChoice c{};
  const double* n = lists.takeNumbers(call, kRowNumbers);
  if (!n) return c;
  c.temperature = n[0];
  c.topK = call.sizeOf(n[1]);
  c.topP = n[2];
  c.minP = n[3];
  c.uniform = n[4];
  c.repetitionPenalty = n[5];
  c.given = n[6] < 0 ? -1 : call.sizeOf(n[6]);
  c.alternatives = n[7] < 0 ? -1 : call.sizeOf(n[7]);
  c.weightBits = call.sizeOf(n[8]);
  const int64_t words = call.sizeOf(n[9]);
  c.seenCount = call.sizeOf(n[10]);
  c.bias.count = call.sizeOf(n[11]);
  c.lowered.count = call.sizeOf(n[12]);
  if (c.given >= width) call.fail("the given token is outside the vocabulary");
  if (c.weightBits > 40) call.fail("weights of more than 40 bits");
  if (words != 0 && words < (width + 31) / 32) call.fail("there are too few bits of what is allowed");
  const int32_t* allowed = lists.takeIds(call, words, 0);
  c.allowed = words == 0 ? nullptr : allowed;
  c.seen = lists.takeIds(call, c.seenCount, width);
  c.bias.ids = lists.takeIds(call, c.bias.count, width);
  c.lowered.ids = lists.takeIds(call, c.lowered.count, width);
  c.bias.amounts = lists.takeNumbers(call, c.bias.count);
  c.lowered.amounts = lists.takeNumbers(call, c.lowered.count);
  return c;
}

/**
 * chooseTokens(logits…, rows, width, table, ids, results): results, a Float64Array, is filled with what
 * native/kernels/token-choice.h says of each row, one after the other.
 */
napi_value chooseTokens(napi_env env, napi_callback_info info) {
  Call call(env, info, "chooseTokens");
  const View logits = call.view();
  const int64_t rows = call.size(), width = call.size();
  const float* from = call.floats(logits, times(rows, width), "logits");
  size_t numbers = 0, room = 0;
  const double* table = call.doubles(&numbers);
  const Values ids = call.typedArray();
  double* results = (double*)call.doubles(&room);
  if (!call.ok() || rows == 0 || width == 0) return nullptr;
  Lists lists{table, (int64_t)numbers, (const int32_t*)ids.data, ids.elements};
  if (times(rows, kRowNumbers) > (int64_t)numbers) call.fail("the table is too short");
  if (!call.ok()) return nullptr;
  const Scratched<TokenChoice> choices((int)rows);
  const Scratched<double*> outs((int)rows);
  int64_t used = 0;
  for (int64_t row = 0; row < rows && call.ok(); row++) {
    choices[(int)row] = readChoice(call, lists, width);
    outs[(int)row] = results + used;
    const int64_t wanted = choices[(int)row].alternatives;
    used = plus(used, plus(kChoiceNumbers, times(2, wanted < 0 ? 0 : wanted)));
    if (used > (int64_t)room) call.fail("there is too little room for the results");
  }
  if (call.ok()) call.kernels().chooseTokens(from, rows, width, choices.data(), outs.data(), call.threads());
  return nullptr;
}

}  // namespace

const Method tokenChoiceMethods[] = {{"chooseTokens", chooseTokens}, {nullptr, nullptr}};

}  // namespace stemma

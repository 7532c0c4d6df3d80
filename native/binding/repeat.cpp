#include "binding/call.h"

namespace stemma {

namespace {

/** A method by its number; null where there is none. */
const Method* methodAt(double number) {
  double first = 0;
  for (const Method* const* family = methodFamilies; *family; family++) {
    for (const Method* method = *family; method->name; method++, first++) {
      if (first == number) return method;
    }
  }
  return nullptr;
}

/**
 * repeat(table): makes calls once more, one after the other. For each the table has the number of its method, how many
 * arguments it has, and these. The first error ends it.
 */
napi_value repeat(napi_env env, napi_callback_info info) {
  Call call(env, info, "repeat");
  size_t length = 0;
  const double* table = call.doubles(&length);
  for (size_t at = 0; call.ok() && at < length;) {
    const Method* method = methodAt(table[at]);
    const double count = at + 1 < length ? table[at + 1] : -1;
    if (!method || !(count >= 0 && count <= (double)(length - at - 2))) {
      call.fail("the table is damaged");
      break;
    }
    Call::repeat(env, method->callback, {call.context(), table + at + 2, (size_t)count});
    bool hasFailed = false;
    napi_is_exception_pending(env, &hasFailed);
    if (hasFailed) break;
    at += 2 + (size_t)count;
  }
  return nullptr;
}

}  // namespace

const Method repeatMethods[] = {{"repeat", repeat}, {nullptr, nullptr}};

}  // namespace stemma

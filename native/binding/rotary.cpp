#include "kernels/rotary.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** rotary(x…, positions…, cos…, sin…, out…, rows, time, width, heads, half, places, inverse); places: rows of the tables */
napi_value rotary(napi_env env, napi_callback_info info) {
  Call call(env, info, "rotary");
  const View x = call.view(), positions = call.optionalView(), cos = call.view(), sin = call.view(),
             out = call.view();
  Rotation r{};
  r.rows = call.size();
  r.time = call.size();
  r.width = call.size();
  r.heads = call.size();
  r.half = call.size();
  const int64_t places = call.size();
  r.inverse = call.flag();
  r.x = call.floats(x, times(r.rows, r.width), "x");
  r.positions = call.ints(positions, r.rows, "positions");
  r.cos = call.floats(cos, times(places, r.half), "cos");
  r.sin = call.floats(sin, times(places, r.half), "sin");
  r.out = call.floats(out, times(r.rows, r.width), "out");
  if (call.ok() && times(2, times(r.half, r.heads)) > r.width) call.fail("the heads are wider than the rows");
  if (call.ok() && !r.positions && r.time == 0 && r.rows > 0) call.fail("there are rows but no time");
  if (call.ok() && !r.positions && r.time > places) call.fail("there are more places in time than in the tables");
  for (int64_t i = 0; call.ok() && r.positions && i < r.rows; i++) {
    if (r.positions[i] < 0) call.fail("a position is negative");
  }
  if (r.positions) call.checkIds(r.positions, r.rows, places);
  if (call.ok() && r.width > 0) call.kernels().rotary(r, call.threads());
  return nullptr;
}

}  // namespace

const Method rotaryMethods[] = {{"rotary", rotary}, {nullptr, nullptr}};

}  // namespace stemma

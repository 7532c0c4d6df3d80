#include "kernels/lstm.h"

#include "binding/call.h"

namespace stemma {

namespace {

/** lstmCell(gates…, before…, cells…, hidden…, rows, width) */
napi_value lstmCell(napi_env env, napi_callback_info info) {
  Call call(env, info, "lstmCell");
  const View gates = call.view(), before = call.view(), cells = call.view(), hidden = call.view();
  LstmCell cell{};
  cell.rows = call.size();
  cell.width = call.size();
  const int64_t units = times(cell.rows, cell.width);
  cell.gates = call.floats(gates, times(4, units), "gates");
  cell.before = call.floats(before, units, "before");
  cell.cells = call.floats(cells, units, "cells");
  cell.hidden = call.floats(hidden, units, "hidden");
  if (call.ok() && units > 0) call.kernels().lstmCell(cell, call.threads());
  return nullptr;
}

/** lstmCellGrad(gates…, before…, cells…, dHidden…, dCells…, dSums…, rows, width) */
napi_value lstmCellGrad(napi_env env, napi_callback_info info) {
  Call call(env, info, "lstmCellGrad");
  const View gates = call.view(), before = call.view(), cells = call.view(), dHidden = call.view(),
             dCells = call.view(), dSums = call.view();
  LstmCellGradient gradient{};
  gradient.rows = call.size();
  gradient.width = call.size();
  const int64_t units = times(gradient.rows, gradient.width);
  gradient.gates = call.floats(gates, times(4, units), "gates");
  gradient.before = call.floats(before, units, "before");
  gradient.cells = call.floats(cells, units, "cells");
  gradient.dHidden = call.floats(dHidden, units, "dHidden");
  gradient.dCells = call.floats(dCells, units, "dCells");
  gradient.dSums = call.floats(dSums, times(4, units), "dSums");
  if (call.ok() && units > 0) call.kernels().lstmCellGrad(gradient, call.threads());
  return nullptr;
}

}  // namespace

const Method lstmMethods[] = {{"lstmCell", lstmCell}, {"lstmCellGrad", lstmCellGrad}, {nullptr, nullptr}};

}  // namespace stemma

#include "kernels/lstm.h"

#include "kernels/functions.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

/** What one unit of one row takes, in elements that are moved: five curves beside eight or more numbers. */
constexpr int64_t kUnitWork = 8;

void lstmCell(const LstmCell& cell, int threads) {
  const int64_t width = cell.width;
  parallelRows(threads, cell.rows, kUnitWork * width, [&](int64_t row) {
    float* gates = cell.gates + 4 * row * width;
    const int64_t at = row * width;
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      const Vec input = sigmoid(loadSome(gates + i, count));
      const Vec forget = sigmoid(loadSome(gates + width + i, count));
      const Vec candidate = tanh(loadSome(gates + 2 * width + i, count));
      const Vec output = sigmoid(loadSome(gates + 3 * width + i, count));
      const Vec after = fma(forget, loadSome(cell.before + at + i, count), input * candidate);
      storeSome(gates + i, input, count);
      storeSome(gates + width + i, forget, count);
      storeSome(gates + 2 * width + i, candidate, count);
      storeSome(gates + 3 * width + i, output, count);
      storeSome(cell.cells + at + i, after, count);
      storeSome(cell.hidden + at + i, output * tanh(after), count);
    });
  });
}

void lstmCellGrad(const LstmCellGradient& g, int threads) {
  const int64_t width = g.width;
  parallelRows(threads, g.rows, kUnitWork * width, [&](int64_t row) {
    const float* gates = g.gates + 4 * row * width;
    float* dSums = g.dSums + 4 * row * width;
    const int64_t at = row * width;
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      const Vec input = loadSome(gates + i, count);
      const Vec forget = loadSome(gates + width + i, count);
      const Vec candidate = loadSome(gates + 2 * width + i, count);
      const Vec output = loadSome(gates + 3 * width + i, count);
      const Vec squashed = tanh(loadSome(g.cells + at + i, count));
      const Vec dHidden = loadSome(g.dHidden + at + i, count);
      const Vec dCell = fma(dHidden * output, 1.0f - squashed * squashed, loadSome(g.dCells + at + i, count));
      storeSome(dSums + i, dCell * candidate * input * (1.0f - input), count);
      storeSome(dSums + width + i, dCell * loadSome(g.before + at + i, count) * forget * (1.0f - forget), count);
      storeSome(dSums + 2 * width + i, dCell * input * (1.0f - candidate * candidate), count);
      storeSome(dSums + 3 * width + i, dHidden * squashed * output * (1.0f - output), count);
      storeSome(g.dCells + at + i, dCell * forget, count);
    });
  });
}

}  // namespace stemma::STEMMA_ISA

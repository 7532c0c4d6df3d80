#include "kernels/integer-squares.h"

#include "kernels/integer-lists.h"

namespace stemma::STEMMA_ISA {

#if defined(STEMMA_SQUARES)

namespace {

constexpr int kRows = kByteSquareRows;
static_assert(kLanes == kRows, "a square has a register for each row");

// Compilers' own intrinsics need newer compilers than anything else here. These touch registers that the compiler knows
// nothing of: 0 and 1 hold sums, 4 and 5 columns, 6 and 7 rows.
#define STEMMA_LOAD_SQUARE(square, from, bytes) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #square ::"r"(from), "r"((int64_t)(bytes)) : "memory")
/** sums = rows · columns, stored at `to` with 64 bytes to a row. */
#define STEMMA_MULTIPLY_SQUARES(sums, rows, columns, to)                                                             \
  asm volatile("tilezero %%tmm" #sums "\n\ttdpbssd %%tmm" #columns ", %%tmm" #rows ", %%tmm" #sums                     \
               "\n\ttilestored %%tmm" #sums ", (%0,%1,1)" ::"r"(to), "r"((int64_t)64)                                  \
               : "memory")

/** What the instruction `ldtilecfg` reads: sums of 16 × 16, columns of 8 steps, rows of 32 bytes. */
struct alignas(64) Configuration {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 32, 32};
  uint8_t rows[16] = {16, 16, 16, 16, 8, 8, 16, 16};
};
static_assert(sizeof(Configuration) == 64, "the processor reads 64 bytes");

/** Products of 32 numbers from `at` along k on; of two squares whose turn it is, `turn`. */
template <int kTurn>
STEMMA_INLINE void multiplyRun(const PanelRows& rows, int64_t at, const Panel& panel, int vector, int32_t* dots) {
  const int8_t* const row = rows.first.quants + at;
  const uint8_t* const columns = panel.quants + (at * kPanelColumns + vector * kLanes * 4);
  if (kTurn == 0) {
    STEMMA_LOAD_SQUARE(6, row, rows.stride);
    STEMMA_LOAD_SQUARE(4, columns, kPanelColumns * 4);
    STEMMA_MULTIPLY_SQUARES(0, 6, 4, dots);
  } else {
    STEMMA_LOAD_SQUARE(7, row, rows.stride);
    STEMMA_LOAD_SQUARE(5, columns, kPanelColumns * 4);
    STEMMA_MULTIPLY_SQUARES(1, 7, 5, dots);
  }
}

/** Adds a block to the sums of one vector of columns. */
template <WeightFormat kWeights>
STEMMA_INLINE void addBlock(const RowLists<kWeights, kRows>& lists, int64_t block, const Panel& panel, int vector,
                            const int32_t* dots, Vec (&sums)[kRows]) {
  const int64_t at = block * kPanelColumns + vector * kLanes;
  const Vec scales = load(panel.scales + at), minima = hasMinimum(kWeights) ? load(panel.minima + at) : Vec{};
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
    const Vec scale = scales * broadcast(lists.scales.template number<float>(i, block));
    sums[i] = fma(toFloat(load(dots + i * kLanes)), scale, sums[i]);
    if (hasMinimum(kWeights)) sums[i] = fma(minima, broadcast(lists.sums.template number<float>(i, block)), sums[i]);
  }
}

/** All blocks, two at a time: while the unit multiplies one, the other's products are scaled. */
template <WeightFormat kWeights>
STEMMA_INLINE void addBlocks(const RowLists<kWeights, kRows>& lists, const PanelRows& rows, const Panel& panel,
                             int vector, Vec (&sums)[kRows]) {
  alignas(64) int32_t dots[2][kRows * kLanes];
  const int64_t blocks = rows.k / kBlock;
  int64_t block = 0;
  for (; block + 2 <= blocks; block += 2) {
    multiplyRun<0>(rows, block * kBlock, panel, vector, dots[0]);
    multiplyRun<1>(rows, (block + 1) * kBlock, panel, vector, dots[1]);
    addBlock<kWeights>(lists, block, panel, vector, dots[0], sums);
    addBlock<kWeights>(lists, block + 1, panel, vector, dots[1], sums);
  }
  if (block == blocks) return;
  multiplyRun<0>(rows, block * kBlock, panel, vector, dots[0]);
  addBlock<kWeights>(lists, block, panel, vector, dots[0], sums);
}

template <WeightFormat kWeights>
void multiply(const PanelRows& rows, const Panel& panel, float* sums) {
  const RowLists<kWeights, kRows> lists(rows);
  for (int vector = 0; vector < kPanelVectors; vector++) {
    Vec own[kRows] = {};
    addBlocks<kWeights>(lists, rows, panel, vector, own);
    for (int i = 0; i < kRows; i++) store(sums + i * kPanelColumns + vector * kLanes, own[i]);
  }
}

}  // namespace

ByteSquareUnit::ByteSquareUnit() {
  static constexpr Configuration kConfiguration;
  asm volatile("ldtilecfg %0" ::"m"(kConfiguration));
}

ByteSquareUnit::~ByteSquareUnit() { asm volatile("tilerelease" ::); }

void squaresProduct(WeightFormat format, const PanelRows& rows, const Panel& panel, float* sums) {
  forBlocks(format, [&](auto of) {
    if constexpr (multipliesSquares(of.format)) multiply<of.format>(rows, panel, sums);
  });
}

#else

ByteSquareUnit::ByteSquareUnit() {}
ByteSquareUnit::~ByteSquareUnit() {}
void squaresProduct(WeightFormat, const PanelRows&, const Panel&, float*) {}

#endif

}  // namespace stemma::STEMMA_ISA

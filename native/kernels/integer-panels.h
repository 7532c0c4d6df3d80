#pragma once

#include "kernels/quantized-rows.h"

/**
 * Products of many rows with blocks of weights. The integers of some columns are brought into a panel in which those of
 * all columns at one place along k lie side by side, so that a register has a lane for each column.
 */
namespace stemma::STEMMA_ISA {

/** Columns of a panel: two registers. */
constexpr int kPanelVectors = 2;
constexpr int kPanelColumns = kPanelVectors * kLanes;
/** Rows that are multiplied with a panel at once: as many sums as registers hold. */
constexpr int kPanelRows = STEMMA_VECTOR_BYTES == 64 ? 8 : 4;

/** Columns of weights for integer products, `[place, column]` each. */
struct Panel {
  /** Integers: four bytes of a column side by side, or two of 16 bits. */
  uint8_t* quants;
  /** Scales of blocks. */
  float* scales;
  /** Minima of blocks, or what the minima of runs are multiplied by. */
  float* minima;
  /** In blocks of 256 the scale of each run. */
  int32_t* runScales;
  /** In blocks of 256 the minima of runs as pairs of 16 bits. */
  int32_t* runMinima;
  /** Whether integers are bytes with a sign, as squares want them, instead of what rows' `starts` go with. */
  bool hasSigns;

  /** Bytes of a panel of k rows. */
  static int64_t bytes(int64_t k) { return kPanelColumns * QuantizedRow::padded(k) * 11 / 4; }

  Panel(char* memory, int64_t k, bool signs)
      : quants((uint8_t*)memory),
        scales((float*)(memory + kPanelColumns * QuantizedRow::padded(k) * 2)),
        minima((float*)(memory + kPanelColumns * QuantizedRow::padded(k) * 17 / 8)),
        runScales((int32_t*)(memory + kPanelColumns * QuantizedRow::padded(k) * 18 / 8)),
        runMinima((int32_t*)(memory + kPanelColumns * QuantizedRow::padded(k) * 20 / 8)),
        hasSigns(signs) {}
};

/** Packs `count` columns of k numbers each; `weights` is the first. The others of the panel are copies of the last. */
void packPanel(WeightFormat format, const uint8_t* weights, int64_t k, int64_t count, const Panel& panel);

/** Rows whose lists lie in memory one after the other, kPanelRows of them at least. */
struct PanelRows {
  /** The first row. */
  const QuantizedRow& first;
  /** Bytes to the next. */
  int64_t stride;
  int64_t k;
};

/**
 * sums[row, kPanelColumns] = products of up to kPanelRows rows with a panel. Every sum is over blocks in order, and over
 * integers within a block, which are exact: its bits do not depend on the other rows.
 */
void panelProduct(WeightFormat format, const PanelRows& rows, int64_t count, const Panel& panel, float* sums);

}  // namespace stemma::STEMMA_ISA

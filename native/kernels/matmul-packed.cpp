#include "kernels/matmul-packed.h"

#include "kernels/epilogue.h"
#include "kernels/gather-patches.h"
#include "kernels/pack.h"
#include "kernels/parallel.h"
#include "kernels/square.h"
#include "kernels/weights.h"

/**
 * Blocked matrix product after Goto & van de Geijn (2008). k is cut into blocks so that a panel of b stays in the first
 * cache while tile after tile of a passes by. The smaller operand is packed once for all threads; the other is packed by
 * each task for itself, into its second cache. Tasks are rectangles of the output. The sum of an element runs over k in
 * order, in blocks that depend on k alone, so how the output is cut never shows in the result.
 */
namespace stemma::STEMMA_ISA {

namespace {

/** Rows and columns that a task packs for itself: about 256 KB with a block of k. */
constexpr int64_t kChunkRows = 240;
constexpr int64_t kChunkPanels = 256 / kTileColumns;
/** Tasks for each thread, so that one that is interrupted does not keep the others waiting. */
constexpr int64_t kTasksPerThread = 8;

constexpr int64_t divideUp(int64_t x, int64_t by) { return (x + by - 1) / by; }
constexpr int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
constexpr int64_t most(int64_t x, int64_t y) { return x > y ? x : y; }

/** A half-open stretch of tiles, panels or units. */
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/** Stretch `index` of `count` nearly equal ones. */
Range piece(int64_t length, int64_t index, int64_t count) {
  return {length * index / count, length * (index + 1) / count};
}

class PackedProduct {
 public:
  /** Cut into about `wanted` tasks, or more; along the operand that each packs for itself, into a multiple of `multiple`. */
  PackedProduct(const Matmul& p, int64_t wanted, int64_t multiple)
      : p_(p),
        format_(p.useBfloat16 ? kPackedBfloat16Format : Format::float32),
        epilogue_{p.bias, p.residual, p.activation, p.preActivation},
        tileRows_(format_ == Format::squares ? kSquareRows : kTileRows),
        chunkTiles_(divideUp(kChunkRows, tileRows_)),
        tiles_(divideUp(p.m, tileRows_)),
        panels_(divideUp(p.n, kTileColumns)),
        units_(unitsOf(format_, p.k)),
        blockUnits_(blockUnits(format_, units_, p.weights)),
        blocks_(most(1, divideUp(units_, most(1, blockUnits_)))),
        sharesA_(p.m < p.n) {
    const int64_t along = sharesA_ ? panels_ : tiles_, across = sharesA_ ? tiles_ : panels_;
    const int64_t chunk = sharesA_ ? kChunkPanels : chunkTiles_;
    const int64_t pieces = least(along, divideUp(most(divideUp(along, chunk), wanted), multiple) * multiple);
    const int64_t acrossPieces = least(across, divideUp(wanted, pieces));
    rowPieces_ = sharesA_ ? acrossPieces : pieces;
    columnPieces_ = sharesA_ ? pieces : acrossPieces;
  }

  /** Memory that all tasks share, and that each thread needs for itself. */
  int64_t sharedFloats() const { return (sharesA_ ? tiles_ * tileRows_ : panels_ * kTileColumns) * units_; }
  int64_t ownFloats() const {
    return blockUnits_ * (sharesA_ ? kChunkPanels * kTileColumns : chunkTiles_ * tileRows_);
  }

  /** Tasks of `pack`, all of which come before those of `run`. */
  int64_t packs() const { return blocks_ * stretches(); }
  int64_t tasks() const { return rowPieces_ * columnPieces_; }

  /** Packs a part of the shared operand, block after block of k, each as packA or packB leave it. */
  void pack(int64_t task, float* shared) const {
    const int64_t strips = sharesA_ ? tiles_ : panels_, width = sharesA_ ? tileRows_ : kTileColumns;
    const Range units = blockOf(task / stretches()), range = piece(strips, task % stretches(), stretches());
    float* to = shared + width * (strips * units.begin + range.begin * units.size());
    if (sharesA_) packA(units, range, to);
    else packB(units, range, to);
  }

  /** Computes a rectangle of the output. */
  void run(int64_t task, const float* shared, float* own) const {
    const Range tiles = piece(tiles_, task / columnPieces_, rowPieces_);
    const Range panels = piece(panels_, task % columnPieces_, columnPieces_);
    if constexpr (kHasSquares) {
      if (format_ == Format::squares) {
        const SquareUnit unit;
        return computeAll(tiles, panels, shared, own);
      }
    }
    computeAll(tiles, panels, shared, own);
  }

 private:
  void computeAll(Range tiles, Range panels, const float* shared, float* own) const {
    for (int64_t block = 0; block < blocks_; block++) compute(block, tiles, panels, shared, own);
  }

  /** Stretches into which the shared operand is cut. */
  int64_t stretches() const {
    return divideUp(sharesA_ ? tiles_ : panels_, sharesA_ ? chunkTiles_ / 4 : kChunkPanels / 4);
  }

  Range blockOf(int64_t block) const { return {block * blockUnits_, least((block + 1) * blockUnits_, units_)}; }

  /** Tiles of a, for a block of k: `packed[tile, tileRows_ · units]`. */
  void packA(Range units, Range tiles, float* packed) const {
    const int64_t k = units.begin * unitWidth(format_), row = tiles.begin * tileRows_;
    const int64_t count = least(units.end * unitWidth(format_), p_.k) - k;
    const int64_t rows = least(tiles.end * tileRows_, p_.m) - row;
    if (p_.patchesA) return packPatchRows(k, count, row, rows, packed);
    if constexpr (kHasSquares) {
      if (format_ == Format::squares) {
        if (p_.transposeA) packSquareColumns(p_.a + k * p_.m + row, p_.m, count, rows, packed);
        else packSquareRows(p_.a + row * p_.k + k, p_.k, rows, count, packed);
        return;
      }
    }
    if (p_.transposeA) packColumnsForRows(format_, p_.a + k * p_.m + row, p_.m, count, rows, packed);
    else packRows(format_, p_.a + row * p_.k + k, p_.k, rows, count, packed);
  }

  /** Panels of b, for a block of k: `packed[panel, units, kTileColumns]`. */
  void packB(Range units, Range panels, float* packed) const {
    const int64_t k = units.begin * unitWidth(format_), column = panels.begin * kTileColumns;
    const int64_t count = least(units.end * unitWidth(format_), p_.k) - k;
    const int64_t width = least(panels.end * kTileColumns, p_.n) - column;
    if (p_.patchesB) return packPatchColumns(k, count, column, width, packed);
    if constexpr (kHasSquares) {
      if (format_ == Format::squares && p_.weights == WeightFormat::bfloat16) {
        const uint16_t* const numbers = (const uint16_t*)p_.b;
        if (p_.transposeB) packTransposedPairs(numbers + column * p_.k + k, p_.k, width, count, packed);
        else packColumnPairs(numbers + k * p_.n + column, p_.n, count, width, packed);
        return;
      }
    }
    if (p_.weights != WeightFormat::float32) {
      forFormat(p_.weights, [&](auto weights) { packWeights<weights.format>(k, count, column, width, packed); });
      return;
    }
    const float* b = (const float*)p_.b;
    if (p_.transposeB) packTransposed(format_, b + column * p_.k + k, p_.k, width, count, packed);
    else packColumns(format_, b + k * p_.n + column, p_.n, count, width, packed);
  }

  /** Tiles of an a of patches: in float32 they lie as they are packed, else they are packed from the first cache. */
  void packPatchRows(int64_t k, int64_t count, int64_t row, int64_t rows, float* packed) const {
    const Patches& patches = *p_.patchesA;
    if (format_ == Format::float32) return gatherPatches(patches, row, rows, k, count, packed, count);
    alignas(64) float strip[most(kSquareRows, kTileRows) * kBlockUnits * unitWidth(Format::bfloat16)];
    const int64_t tileFloats = unitsOf(format_, count) * tileRows_;
    for (int64_t i = 0; i < rows; i += tileRows_, packed += tileFloats) {
      const int64_t some = least(tileRows_, rows - i);
      gatherPatches(patches, row + i, some, k, count, strip, count);
      if constexpr (kHasSquares) {
        if (format_ == Format::squares) {
          packSquareRows(strip, count, some, count, packed);
          continue;
        }
      }
      packRows(format_, strip, count, some, count, packed);
    }
  }

  /** Panels of a b of patches, in the same way. */
  void packPatchColumns(int64_t k, int64_t count, int64_t column, int64_t width, float* packed) const {
    const Patches& patches = *p_.patchesB;
    alignas(64) float strip[kTileColumns * kBlockUnits * unitWidth(Format::bfloat16)];
    const int64_t panelFloats = unitsOf(format_, count) * kTileColumns;
    for (int64_t j = 0; j < width; j += kTileColumns, packed += panelFloats) {
      const int64_t columns = least(kTileColumns, width - j);
      const bool isPacked = format_ == Format::float32 && columns == kTileColumns;
      gatherPatches(patches, k, count, column + j, columns, isPacked ? packed : strip, kTileColumns);
      if (!isPacked) packColumns(format_, strip, kTileColumns, count, columns, packed);
    }
  }

  /** Panels of a b in another format: each is decoded into the first cache and packed from there. */
  template <WeightFormat kWeights>
  void packWeights(int64_t k, int64_t count, int64_t column, int64_t width, float* packed) const {
    alignas(64) float strip[kTileColumns * kBlockUnits * unitWidth(Format::bfloat16)];
    const int64_t panelFloats = unitsOf(format_, count) * kTileColumns;
    for (int64_t j = 0; j < width; j += kTileColumns, packed += panelFloats) {
      const int64_t columns = least(kTileColumns, width - j);
      if (p_.transposeB) {
        for (int64_t i = 0; i < columns; i++) {
          decodeStretch<kWeights>(p_.b, (column + j + i) * p_.k + k, count, strip + i * count);
        }
        packTransposed(format_, strip, count, columns, count, packed);
      } else {
        for (int64_t l = 0; l < count; l++) {
          decodeStretch<kWeights>(p_.b, (k + l) * p_.n + column + j, columns, strip + l * kTileColumns);
        }
        packColumns(format_, strip, kTileColumns, count, columns, packed);
      }
    }
  }

  /** Adds one block of k to a rectangle of the output. */
  void compute(int64_t block, Range tiles, Range panels, const float* shared, float* own) const {
    const Range units = blockOf(block);
    const int64_t tileFloats = tileRows_ * units.size(), panelFloats = kTileColumns * units.size();
    if (!sharesA_) {
      packA(units, tiles, own);
      const float* b = shared + kTileColumns * panels_ * units.begin + panels.begin * panelFloats;
      fill(block, tiles, panels, own, b);
      return;
    }
    packB(units, panels, own);
    for (int64_t tile = tiles.begin; tile < tiles.end; tile += chunkTiles_) {
      const Range chunk{tile, least(tile + chunkTiles_, tiles.end)};
      fill(block, chunk, panels, shared + tileRows_ * tiles_ * units.begin + tile * tileFloats, own);
    }
  }

  /** All tiles of a rectangle, from operands packed for exactly that. */
  void fill(int64_t block, Range tiles, Range panels, const float* a, const float* b) const {
    const int64_t units = blockOf(block).size();
    const bool add = p_.accumulate || block > 0, isLast = block == blocks_ - 1 && !epilogue_.isEmpty();
    for (int64_t panel = panels.begin; panel < panels.end; panel++, b += units * kTileColumns) {
      const int64_t column = panel * kTileColumns, columns = least(kTileColumns, p_.n - column);
      TileRows rowsOfA{a, p_.transposeA ? 1 : units, p_.transposeA ? tileRows_ : 1};
      for (int64_t tile = tiles.begin; tile < tiles.end; tile++, rowsOfA.data += units * tileRows_) {
        const int64_t row = tile * tileRows_, rows = least(tileRows_, p_.m - row), at = row * p_.n + column;
        if (isLast) prefetch(epilogue_, p_.n, at, rows, columns);
        multiply(rowsOfA, b, units, p_.out + at, rows, columns, add);
        if (isLast) finish(epilogue_, p_.out, p_.n, at, column, rows, columns);
      }
    }
  }

  /** One tile of the output, from a block of k. */
  void multiply(TileRows a, const float* b, int64_t units, float* out, int64_t rows, int64_t columns, bool add) const {
    if constexpr (kHasSquares) {
      if (format_ == Format::squares) return squareProduct(a.data, b, units, out, p_.n, rows, columns, add);
    }
    tileProduct(format_, a, b, units, out, p_.n, rows, columns, add);
  }

  Matmul p_;
  Format format_;
  Epilogue epilogue_;
  int64_t tileRows_, chunkTiles_, tiles_, panels_, units_, blockUnits_, blocks_;
  bool sharesA_;
  int64_t rowPieces_ = 1, columnPieces_ = 1;
};

/** A product among others: where its packed operand and its tasks begin. */
struct Placed {
  PackedProduct product;
  int64_t shared, firstPack, firstTask;
};

/** The product that a task belongs to. */
const Placed& ownerOf(const Placed* all, int64_t count, int64_t Placed::* first, int64_t task) {
  int64_t i = count - 1;
  while (all[i].*first > task) i--;
  return all[i];
}

}  // namespace

void packedProducts(const Matmul* products, int64_t count, int threads) {
  const Scratch list((size_t)count * sizeof(Placed));
  Placed* const all = (Placed*)list.bytes();
  const int64_t wanted = threads > 1 ? divideUp(threads * kTasksPerThread, count) : 1;
  int64_t shared = 0, own = 0, packs = 0, tasks = 0;
  for (int64_t i = 0; i < count; i++) {
    const PackedProduct product(products[i], wanted, count == 1 ? threads : 1);
    all[i] = {product, shared, packs, tasks};
    shared += product.sharedFloats();
    own = most(own, product.ownFloats());
    packs += product.packs();
    tasks += product.tasks();
  }
  const Scratch sharedMemory((size_t)(shared + 1) * 4), ownMemory((size_t)(own * threads + 1) * 4);
  parallel(threads, packs, [&](int64_t task, int) {
    const Placed& owner = ownerOf(all, count, &Placed::firstPack, task);
    owner.product.pack(task - owner.firstPack, sharedMemory.floats() + owner.shared);
  });
  parallel(threads, tasks, [&](int64_t task, int slot) {
    const Placed& owner = ownerOf(all, count, &Placed::firstTask, task);
    owner.product.run(task - owner.firstTask, sharedMemory.floats() + owner.shared, ownMemory.floats() + slot * own);
  });
}

}  // namespace stemma::STEMMA_ISA

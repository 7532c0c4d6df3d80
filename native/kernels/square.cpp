#include "kernels/square.h"

#include "kernels/tile.h"
#include "kernels/transpose.h"

#if defined(STEMMA_SQUARES)

namespace stemma::STEMMA_ISA {

namespace {

/** Floats of a square, and bytes between its rows when packed. */
constexpr int64_t kSquareFloats = kSquare * kSquare;
constexpr int64_t kSquareRowBytes = kSquare * 4;
static_assert(kTileColumns == 2 * kSquare && kLanes == kSquare, "a panel is two squares wide, a vector one");

// As compilers' own intrinsics have them, which need newer compilers than anything else here. They touch memory and
// registers that the compiler knows nothing of.
#define STEMMA_SQUARE_ZERO(square) asm volatile("tilezero %%tmm" #square ::)
#define STEMMA_SQUARE_LOAD(square, from, bytes) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #square ::"r"(from), "r"((int64_t)(bytes)) : "memory")
#define STEMMA_SQUARE_STORE(square, to, bytes) \
  asm volatile("tilestored %%tmm" #square ", (%0,%1,1)" ::"r"(to), "r"((int64_t)(bytes)) : "memory")
/** sums += a · b */
#define STEMMA_SQUARE_MULTIPLY(sums, a, b) asm volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sums ::)

/** What the instruction `ldtilecfg` reads: eight squares of 16 rows of 64 bytes. */
struct alignas(64) Configuration {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(Configuration) == 64, "the processor reads 64 bytes");

/** Sums of up to 2 × 2 squares, in registers 0 to 3: squares 0 and 1 are the upper ones. */
template <bool kHasLower, bool kHasRight>
STEMMA_INLINE void startSums(const float* c, int64_t strideBytes, bool add) {
  if (!add) {
    STEMMA_SQUARE_ZERO(0);
    if (kHasRight) STEMMA_SQUARE_ZERO(1);
    if (kHasLower) STEMMA_SQUARE_ZERO(2);
    if (kHasLower && kHasRight) STEMMA_SQUARE_ZERO(3);
    return;
  }
  const char* const lower = (const char*)c + kSquare * strideBytes;
  STEMMA_SQUARE_LOAD(0, c, strideBytes);
  if (kHasRight) STEMMA_SQUARE_LOAD(1, c + kSquare, strideBytes);
  if (kHasLower) STEMMA_SQUARE_LOAD(2, lower, strideBytes);
  if (kHasLower && kHasRight) STEMMA_SQUARE_LOAD(3, lower + kSquare * 4, strideBytes);
}

template <bool kHasLower, bool kHasRight>
STEMMA_INLINE void storeSums(float* c, int64_t strideBytes) {
  char* const lower = (char*)c + kSquare * strideBytes;
  STEMMA_SQUARE_STORE(0, c, strideBytes);
  if (kHasRight) STEMMA_SQUARE_STORE(1, c + kSquare, strideBytes);
  if (kHasLower) STEMMA_SQUARE_STORE(2, lower, strideBytes);
  if (kHasLower && kHasRight) STEMMA_SQUARE_STORE(3, lower + kSquare * 4, strideBytes);
}

template <bool kHasLower, bool kHasRight>
void multiplySquares(const float* a, const float* b, int64_t units, float* c, int64_t strideBytes, bool add) {
  const float* lower = a + units * kSquare;
  startSums<kHasLower, kHasRight>(c, strideBytes, add);
  for (int64_t u = 0; u < units; u += kSquare) {
    STEMMA_SQUARE_LOAD(4, b, 2 * kSquareRowBytes);
    STEMMA_SQUARE_LOAD(6, a, kSquareRowBytes);
    STEMMA_SQUARE_MULTIPLY(0, 6, 4);
    if (kHasRight) {
      STEMMA_SQUARE_LOAD(5, b + kSquare, 2 * kSquareRowBytes);
      STEMMA_SQUARE_MULTIPLY(1, 6, 5);
    }
    if (kHasLower) {
      STEMMA_SQUARE_LOAD(7, lower, kSquareRowBytes);
      STEMMA_SQUARE_MULTIPLY(2, 7, 4);
      if (kHasRight) STEMMA_SQUARE_MULTIPLY(3, 7, 5);
    }
    a += kSquareFloats;
    lower += kSquareFloats;
    b += 2 * kSquareFloats;
  }
  storeSums<kHasLower, kHasRight>(c, strideBytes);
}

void multiply(const float* a, const float* b, int64_t units, float* c, int64_t strideBytes, bool hasLower,
              bool hasRight, bool add) {
  if (hasLower && hasRight) multiplySquares<true, true>(a, b, units, c, strideBytes, add);
  else if (hasLower) multiplySquares<true, false>(a, b, units, c, strideBytes, add);
  else if (hasRight) multiplySquares<false, true>(a, b, units, c, strideBytes, add);
  else multiplySquares<false, false>(a, b, units, c, strideBytes, add);
}

/** Writes a square of units to its place among those of its rows. */
STEMMA_INLINE void storeSquare(const Vec (&rows)[kLanes], float* to) {
#pragma GCC unroll 16
  for (int r = 0; r < kLanes; r++) store(to + r * kSquare, rows[r]);
}

/** The units of two rows of 32 bfloat16 each: number i of both rows is unit i. */
STEMMA_INLINE void interleavePairs(__m512i first, __m512i second, float* to) {
  alignas(64) static constexpr uint16_t kLow[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                    8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
  _mm512_storeu_si512(to + kLanes, _mm512_permutex2var_epi16(first, high, second));
}

/** `count` bfloat16, at most 32, and zeros behind them. */
STEMMA_INLINE __m512i loadPairs(const uint16_t* from, int64_t count) {
  if (count >= 32) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16(count > 0 ? (__mmask32)((1u << count) - 1) : 0, from);
}

}  // namespace

SquareUnit::SquareUnit() {
  static constexpr Configuration kConfiguration;
  asm volatile("ldtilecfg %0" ::"m"(kConfiguration));
}

SquareUnit::~SquareUnit() { asm volatile("tilerelease" ::); }

void squareProduct(const float* a, const float* b, int64_t units, float* c, int64_t cStride, int64_t rows,
                   int64_t columns, bool add) {
  const bool hasLower = rows > kSquare, hasRight = columns > kSquare;
  if (rows % kSquare == 0 && columns % kSquare == 0) {
    return multiply(a, b, units, c, cStride * 4, hasLower, hasRight, add);
  }
  // Squares are read and written whole.
  alignas(64) float sums[kSquareRows * kTileColumns];
  if (add) {
    for (int64_t r = 0; r < rows; r++) memcpy(sums + r * kTileColumns, c + r * cStride, (size_t)columns * 4);
  }
  multiply(a, b, units, sums, kTileColumns * 4, hasLower, hasRight, add);
  for (int64_t r = 0; r < rows; r++) memcpy(c + r * cStride, sums + r * kTileColumns, (size_t)columns * 4);
}

void squaresPeak(int64_t rounds) {
  for (int64_t i = 0; i < rounds; i++) {
    STEMMA_SQUARE_MULTIPLY(0, 6, 4);
    STEMMA_SQUARE_MULTIPLY(1, 6, 5);
    STEMMA_SQUARE_MULTIPLY(2, 7, 4);
    STEMMA_SQUARE_MULTIPLY(3, 7, 5);
  }
}

void packSquareRows(const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed) {
  const int64_t units = unitsOf(Format::squares, k);
  for (int64_t r = 0; r < rows; r++) {
    const float* const row = x + r * rowStride;
    float* to = packed + r / kSquare * kSquare * units + r % kSquare * kSquare;
    for (int64_t u = 0; u < units; u += kSquare, to += kSquareFloats) {
      store(to, unitsAlongRow<Format::squares>(row, u * 2, k));
    }
  }
}

void packSquareColumns(const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  const int64_t units = unitsOf(Format::squares, k);
  for (int64_t u = 0; u < units; u += kSquare) {
    for (int64_t j = 0; j < width; j += kSquare) {
      const int64_t count = width - j < kLanes ? width - j : kLanes;
      const float* from = x + u * 2 * rowStride + j;
      Vec square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; i++) {
        const int64_t l = (u + i) * 2;
        const Vec first = l < k ? loadSome(from + 2 * i * rowStride, count) : Vec{};
        const Vec second = l + 1 < k ? loadSome(from + (2 * i + 1) * rowStride, count) : Vec{};
        square[i] = unitsAcrossRows<Format::squares>(first, second);
      }
      transposeSquare(square);
      storeSquare(square, packed + j * units + u * kSquare);
    }
  }
}

void packTransposedPairs(const uint16_t* x, int64_t rowStride, int64_t width, int64_t k, float* packed) {
  const int64_t units = unitsOf(Format::squares, k);
  const int64_t padded = (width + kTileColumns - 1) / kTileColumns * kTileColumns;
  for (int64_t j = 0; j < padded; j += kLanes) {
    float* to = packed + j / kTileColumns * units * kTileColumns + j % kTileColumns;
    for (int64_t u = 0; u < units; u += kLanes) {
      Vec square[kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; r++) {
        square[r] = j + r < width ? (Vec)loadPairs(x + (j + r) * rowStride + u * 2, k - u * 2) : Vec{};
      }
      transposeSquare(square);
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; r++, to += kTileColumns) store(to, square[r]);
    }
  }
}

void packColumnPairs(const uint16_t* x, int64_t rowStride, int64_t k, int64_t width, float* packed) {
  const int64_t units = unitsOf(Format::squares, k);
  for (int64_t u = 0; u < units; u++) {
    const uint16_t* const row = x + u * 2 * rowStride;
    float* to = packed + u * kTileColumns;
    for (int64_t j = 0; j < width; j += kTileColumns, to += units * kTileColumns) {
      const int64_t count = width - j;
      const __m512i first = u * 2 < k ? loadPairs(row + j, count) : __m512i{};
      const __m512i second = u * 2 + 1 < k ? loadPairs(row + rowStride + j, count) : __m512i{};
      interleavePairs(first, second, to);
    }
  }
}

}  // namespace stemma::STEMMA_ISA

#endif

#pragma once

#include "kernels/isa.h"
#include "runtime/storage.h"
#include "runtime/threads.h"

namespace stemma::STEMMA_ISA {

/**
 * Calls `body(task, slot)` for every task in [0, tasks), on up to `threads` threads and in no particular order. Slot is
 * the number of the thread, in [0, threads), for scratch memory. Tasks must write to disjoint places, and what is
 * written must not depend on how work is cut into tasks, or the cut not on `threads`: then the result has the same bits
 * for any number of them.
 */
template <class Body>
static inline void parallel(int threads, int64_t tasks, Body&& body) {
  struct Caller {
    static void run(void* context, int64_t task, int slot) { (*(Body*)context)(task, slot); }
  };
  parallelFor(threads, tasks, (void*)&body, &Caller::run);
}

/**
 * Calls `body(begin, end)` for fixed stretches of about `grain` elements that together cover [0, length); every
 * stretch but the last is a whole number of 64-byte lines of float32.
 */
template <class Body>
static inline void parallelRange(int threads, int64_t length, int64_t grain, Body&& body) {
  const int64_t step = grain < 16 ? 16 : (grain + 15) / 16 * 16;
  parallel(threads, (length + step - 1) / step, [&](int64_t task, int) {
    const int64_t begin = task * step;
    body(begin, begin + step < length ? begin + step : length);
  });
}

/** Calls `body(row)` for every row, several to a task; `work` is what a row takes, in elements that are moved. */
template <class Body>
static inline void parallelRows(int threads, int64_t rows, int64_t work, Body&& body) {
  const int64_t some = 8192 / (work + 1) + 1;
  parallel(threads, (rows + some - 1) / some, [&](int64_t task, int) {
    const int64_t end = (task + 1) * some < rows ? (task + 1) * some : rows;
    for (int64_t row = task * some; row < end; row++) body(row);
  });
}

/** 64-byte-aligned memory from the pool for the duration of a kernel. */
class Scratch {
 public:
  explicit Scratch(size_t bytes) : memory_(acquireScratch(bytes)) {}
  ~Scratch() { releaseScratch(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* floats() const { return (float*)memory_; }
  char* bytes() const { return (char*)memory_; }

 private:
  void* memory_;
};

}  // namespace stemma::STEMMA_ISA

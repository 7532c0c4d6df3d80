#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/weight-format.h"

namespace stemma {

/**
 * Number by which JavaScript names a stretch of pooled memory. Holds a slot and how often that slot was reused, so a
 * handle that was released is recognised for ever; fits a double exactly.
 */
using Handle = int64_t;

struct Stretch {
  float* data;
  /** Elements: of four bytes, or as the format says. */
  int64_t length;
  WeightFormat format;
};

/** Memory for `length` elements, whole blocks, 64-byte aligned and not cleared; -1 when there is none left. */
Handle acquireStorage(int64_t length, WeightFormat format);

/** Whether the handle was live; releasing one twice does nothing. */
bool releaseStorage(Handle handle);

/** What a handle stands for; data is null for a handle that is not live. Takes no lock. */
Stretch lookUpStorage(Handle handle);

/** Memory from the same pool for the duration of a kernel. Aborts when there is none left. */
void* acquireScratch(size_t bytes);
void releaseScratch(void* memory);

struct MemoryUse {
  /** Bytes that live storages and running kernels hold. */
  size_t inUse;
  /** Bytes the pool holds from the system beyond that. */
  size_t pooled;
  /** Largest `inUse` since the process began, or since the peak was last reset. */
  size_t peak;
};

MemoryUse memoryUse();
void resetMemoryPeak();

/** Gives free memory back to the system. */
void trimMemory();

}  // namespace stemma

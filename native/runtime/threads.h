#pragma once

#include <stdint.h>

namespace stemma {

/** Cores the process may run on. */
int availableCores();

/**
 * Calls `run(context, task, slot)` for every task in [0, tasks) and returns when all are done. The calling thread takes
 * part as slot 0; up to `threads - 1` threads of a pool that the whole process shares help it. When another thread is
 * using the pool, or inside a task, the caller does all the work itself. Each thread begins with a share of neighbouring
 * tasks, the same in every call with as many.
 */
void parallelFor(int threads, int64_t tasks, void* context, void (*run)(void* context, int64_t task, int slot));

}  // namespace stemma

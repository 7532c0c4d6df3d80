#pragma once

#include "kernels/table.h"

namespace stemma {

/** Instruction sets compiled in that this processor has, best first; ends with a null pointer. */
const KernelTable* const* availableKernels();

/** The table of that name, or the best one for an empty name; null when this processor or build lacks it. */
const KernelTable* findKernels(const char* name);

}  // namespace stemma

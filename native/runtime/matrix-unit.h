#pragma once

namespace stemma {

/**
 * Whether the processor multiplies squares of bfloat16 and of bytes (AMX) and the system lets this process do so. The
 * registers take 8 KB a thread, which Linux saves only for processes that asked; this asks, once for all threads.
 */
bool mayUseMatrixUnit();

}  // namespace stemma

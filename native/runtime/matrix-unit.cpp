#include "runtime/matrix-unit.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace stemma {

bool mayUseMatrixUnit() {
#if defined(__x86_64__) && defined(__linux__)
  // From <asm/prctl.h> and <asm/fpu/types.h> of Linux 5.16, which builds on older systems lack.
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  constexpr unsigned kBfloat16Bit = 1u << 22, kTileBit = 1u << 24, kByteBit = 1u << 25;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if ((d & kBfloat16Bit) == 0 || (d & kTileBit) == 0 || (d & kByteBit) == 0) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace stemma

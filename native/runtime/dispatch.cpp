#include "runtime/dispatch.h"

#include <string.h>
#if defined(STEMMA_ARM64_VARIANTS)
#include <sys/auxv.h>
#endif

#include "runtime/matrix-unit.h"

namespace stemma {

namespace portable {
void fillTable(KernelTable& table);
}
#if defined(STEMMA_X64_VARIANTS)
namespace avx2 {
void fillTable(KernelTable& table);
}
namespace avx512 {
void fillTable(KernelTable& table);
}
namespace avx512bf16 {
void fillTable(KernelTable& table);
}
#endif
#if defined(STEMMA_AMX_VARIANT)
namespace avx512amx {
void fillTable(KernelTable& table);
}
#endif
#if defined(STEMMA_ARM64_VARIANTS)
namespace dotprod {
void fillTable(KernelTable& table);
}
#endif

namespace {

struct Variants {
  KernelTable tables[5];
  const KernelTable* available[6];
  int count = 0;

  Variants() {
#if defined(STEMMA_X64_VARIANTS)
    __builtin_cpu_init();
    const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool hasAvx512 = hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    // Every processor with the one has the other.
    const bool hasPairs = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
#if defined(STEMMA_AMX_VARIANT)
    if (hasAvx512 && hasPairs && mayUseMatrixUnit()) add("avx512amx", avx512amx::fillTable);
#endif
    if (hasAvx512 && hasPairs) add("avx512bf16", avx512bf16::fillTable);
    if (hasAvx512) add("avx512", avx512::fillTable);
    if (hasAvx2) add("avx2", avx2::fillTable);
#endif
#if defined(STEMMA_ARM64_VARIANTS)
    constexpr unsigned long kHasDotProducts = 1ul << 20;  // HWCAP_ASIMDDP of <asm/hwcap.h>
    if (getauxval(AT_HWCAP) & kHasDotProducts) add("dotprod", dotprod::fillTable);
#endif
    add("portable", portable::fillTable);
    available[count] = nullptr;
  }

  void add(const char* name, void (*fill)(KernelTable&)) {
    KernelTable& table = tables[count];
    table.name = name;
    fill(table);
    available[count++] = &table;
  }
};

const Variants& variants() {
  static const Variants shared;
  return shared;
}

}  // namespace

const KernelTable* const* availableKernels() { return variants().available; }

const KernelTable* findKernels(const char* name) {
  const KernelTable* const* table = availableKernels();
  if (name[0] == '\0') return *table;
  for (; *table; table++) {
    if (strcmp((*table)->name, name) == 0) return *table;
  }
  return nullptr;
}

}  // namespace stemma

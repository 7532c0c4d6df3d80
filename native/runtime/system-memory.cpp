#include "runtime/system-memory.h"

#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace stemma {

namespace {

constexpr uintptr_t kHugePage = uintptr_t{2} << 20;

char* alignUp(void* address) { return (char*)(((uintptr_t)address + kHugePage - 1) / kHugePage * kHugePage); }

}  // namespace

#if defined(_WIN32)

char* reserveAddresses(size_t bytes) {
  void* start = VirtualAlloc(nullptr, bytes + kHugePage, MEM_RESERVE, PAGE_READWRITE);
  return start ? alignUp(start) : nullptr;
}

bool commitPages(char* start, size_t bytes) { return VirtualAlloc(start, bytes, MEM_COMMIT, PAGE_READWRITE) != nullptr; }

void discardPages(char* start, size_t bytes) { VirtualAlloc(start, bytes, MEM_RESET, PAGE_READWRITE); }

size_t systemPageBytes() { return 4096; }

#else

char* reserveAddresses(size_t bytes) {
  void* start = mmap(nullptr, bytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return start == MAP_FAILED ? nullptr : alignUp(start);
}

bool commitPages(char* start, size_t bytes) {
  if (mprotect(start, bytes, PROT_READ | PROT_WRITE) != 0) return false;
#if defined(MADV_HUGEPAGE)
  madvise(start, bytes, MADV_HUGEPAGE);
#endif
  return true;
}

void discardPages(char* start, size_t bytes) { madvise(start, bytes, MADV_DONTNEED); }

size_t systemPageBytes() { return (size_t)sysconf(_SC_PAGESIZE); }

#endif

}  // namespace stemma

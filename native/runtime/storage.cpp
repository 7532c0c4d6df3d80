#include "runtime/storage.h"

#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "runtime/arena.h"

namespace stemma {

namespace {

/** One live or once-live storage. `uses` is odd while live, and part of the handle. */
struct Slot {
  std::atomic<uint32_t> uses{0};
  std::atomic<Block*> block{nullptr};
  std::atomic<float*> data{nullptr};
  std::atomic<int64_t> length{0};
  std::atomic<WeightFormat> format{WeightFormat::float32};
};

constexpr int kSlotBits = 20;
constexpr int kChunkBits = 10;
constexpr int64_t kSlots = int64_t{1} << kSlotBits;
constexpr int64_t kChunkSlots = int64_t{1} << kChunkBits;

/** Slots live in chunks that never move, so that looking one up needs no lock. */
std::atomic<Slot*> chunks[kSlots / kChunkSlots];

/** Everything that changes, behind one lock. Never destroyed, like the threads that may still hold scratch memory. */
struct State {
  std::mutex mutex;
  Arena arena;
  int64_t slots = 0;
  std::deque<int64_t> freeSlots;
  std::unordered_map<void*, Block*> scratch;
  size_t inUse = 0;
  size_t peak = 0;
};

State& state() {
  static State* const shared = new State();
  return *shared;
}

size_t roundUpToLine(size_t bytes) { return bytes == 0 ? 64 : (bytes + 63) / 64 * 64; }

Block* acquireBlock(State& s, size_t bytes) {
  Block* block = s.arena.acquire(roundUpToLine(bytes));
  if (!block) return nullptr;
  s.inUse += block->bytes;
  if (s.inUse > s.peak) s.peak = s.inUse;
  return block;
}

void releaseBlock(State& s, Block* block) {
  s.inUse -= block->bytes;
  s.arena.release(block);
}

Slot* slotAt(int64_t index) {
  Slot* chunk = chunks[index >> kChunkBits].load(std::memory_order_acquire);
  return chunk ? chunk + (index & (kChunkSlots - 1)) : nullptr;
}

/** Index of a slot nobody uses, or -1 when more than a million storages are live. */
int64_t takeSlot(State& s) {
  if (!s.freeSlots.empty()) {
    const int64_t index = s.freeSlots.front();
    s.freeSlots.pop_front();
    return index;
  }
  if (s.slots == kSlots) return -1;
  if (s.slots % kChunkSlots == 0) chunks[s.slots >> kChunkBits].store(new Slot[kChunkSlots], std::memory_order_release);
  return s.slots++;
}

/** The slot of a handle if the handle is live. */
Slot* liveSlot(Handle handle) {
  if (handle < 0) return nullptr;
  Slot* slot = slotAt(handle & (kSlots - 1));
  if (!slot) return nullptr;
  return (int64_t)slot->uses.load(std::memory_order_acquire) == handle >> kSlotBits ? slot : nullptr;
}

}  // namespace

Handle acquireStorage(int64_t length, WeightFormat format) {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  Block* block = acquireBlock(s, (size_t)bytesOf(format, length));
  if (!block) return -1;
  const int64_t index = takeSlot(s);
  if (index < 0) {
    releaseBlock(s, block);
    return -1;
  }
  Slot* slot = slotAt(index);
  slot->block.store(block, std::memory_order_relaxed);
  slot->data.store((float*)block->start, std::memory_order_relaxed);
  slot->length.store(length, std::memory_order_relaxed);
  slot->format.store(format, std::memory_order_relaxed);
  const uint32_t uses = slot->uses.load(std::memory_order_relaxed) + 1;
  slot->uses.store(uses, std::memory_order_release);
  return ((int64_t)uses << kSlotBits) | index;
}

bool releaseStorage(Handle handle) {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  Slot* slot = liveSlot(handle);
  if (!slot) return false;
  slot->uses.store((uint32_t)(handle >> kSlotBits) + 1, std::memory_order_release);
  releaseBlock(s, slot->block.load(std::memory_order_relaxed));
  s.freeSlots.push_back(handle & (kSlots - 1));
  return true;
}

Stretch lookUpStorage(Handle handle) {
  Slot* slot = liveSlot(handle);
  if (!slot) return {nullptr, 0, WeightFormat::float32};
  return {slot->data.load(std::memory_order_relaxed), slot->length.load(std::memory_order_relaxed),
          slot->format.load(std::memory_order_relaxed)};
}

void* acquireScratch(size_t bytes) {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  Block* block = acquireBlock(s, bytes);
  if (!block) {
    fprintf(stderr, "stemma: out of memory: no %zu bytes of scratch memory for a kernel\n", bytes);
    abort();
  }
  s.scratch[block->start] = block;
  return block->start;
}

void releaseScratch(void* memory) {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  const auto found = s.scratch.find(memory);
  releaseBlock(s, found->second);
  s.scratch.erase(found);
}

MemoryUse memoryUse() {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  return {s.inUse, s.arena.reservedBytes() - s.inUse, s.peak};
}

void resetMemoryPeak() {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.peak = s.inUse;
}

void trimMemory() {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.arena.trim();
}

}  // namespace stemma

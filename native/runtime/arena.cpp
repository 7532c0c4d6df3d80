#include "runtime/arena.h"

#include <stdint.h>

#include "runtime/system-memory.h"

namespace stemma {

namespace {

/** The arena grows by this much: a whole number of huge pages. */
constexpr size_t kGrowth = size_t{2} << 20;

/** Free blocks smaller than this are not worth a call to the system when trimming. */
constexpr size_t kSmallestTrim = size_t{64} << 10;

/** Addresses to ask for first; they cost nothing until used. */
constexpr size_t kRange = sizeof(void*) == 8 ? size_t{1} << 40 : size_t{1} << 30;

size_t roundUp(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

Block* Arena::acquire(size_t bytes) {
  Block wanted{nullptr, bytes, true, nullptr, nullptr};
  const auto found = free_.lower_bound(&wanted);
  Block* block;
  if (found != free_.end()) {
    block = *found;
    free_.erase(found);
  } else {
    block = grow(bytes);
    if (!block) return nullptr;
  }
  block->isFree = false;
  if (block->bytes > bytes) split(block, bytes);
  return block;
}

void Arena::release(Block* block) {
  block->isFree = true;
  if (block->after && block->after->isFree) {
    free_.erase(block->after);
    merge(block);
  }
  if (block->before && block->before->isFree) {
    block = block->before;
    free_.erase(block);
    merge(block);
  }
  free_.insert(block);
}

void Arena::trim() {
  const size_t page = systemPageBytes();
  for (Block* block : free_) {
    const uintptr_t start = roundUp((uintptr_t)block->start, page);
    const uintptr_t end = ((uintptr_t)block->start + block->bytes) / page * page;
    if (end > start && end - start >= kSmallestTrim) discardPages((char*)start, end - start);
  }
}

/** A block of at least `bytes`, taken from the system and not in the free list. */
Block* Arena::grow(size_t bytes) {
  for (Range& range : ranges_) {
    if (Block* block = extend(range, bytes)) return block;
  }
  for (size_t size = kRange; size >= roundUp(bytes, kGrowth); size /= 4) {
    if (char* start = reserveAddresses(size)) {
      ranges_.push_back({start, size, 0, nullptr});
      return extend(ranges_.back(), bytes);
    }
  }
  return nullptr;
}

Block* Arena::extend(Range& range, size_t bytes) {
  Block* last = range.last;
  const size_t free = last && last->isFree ? last->bytes : 0;
  const size_t growth = roundUp(bytes - free, kGrowth);
  if (growth > range.bytes - range.used || !commitPages(range.start + range.used, growth)) return nullptr;
  Block* added = new Block{range.start + range.used, growth, true, last, nullptr};
  range.used += growth;
  reserved_ += growth;
  if (last) last->after = added;
  range.last = added;
  if (free == 0) return added;
  free_.erase(last);
  return merge(last);
}

/** Cuts a block to `bytes`; what is left over becomes a free block. */
void Arena::split(Block* block, size_t bytes) {
  Block* rest = new Block{block->start + bytes, block->bytes - bytes, true, block, block->after};
  if (rest->after) rest->after->before = rest;
  block->after = rest;
  block->bytes = bytes;
  for (Range& range : ranges_) {
    if (range.last == block) range.last = rest;
  }
  free_.insert(rest);
}

/** Joins a block with the one after it. Neither may be in the free list. */
Block* Arena::merge(Block* block) {
  Block* next = block->after;
  block->bytes += next->bytes;
  block->after = next->after;
  if (next->after) next->after->before = block;
  for (Range& range : ranges_) {
    if (range.last == next) range.last = block;
  }
  delete next;
  return block;
}

}  // namespace stemma

#pragma once

#include <stddef.h>

#include <set>
#include <vector>

namespace stemma {

/** A stretch of an arena, free or not; neighbours in memory are linked so that free ones can merge. */
struct Block {
  char* start;
  size_t bytes;
  bool isFree;
  Block* before;
  Block* after;
};

/**
 * Memory for all tensors: one large range of addresses that is filled from the bottom. A request takes the smallest
 * free block that holds it and leaves the rest free; neighbouring free blocks merge. So memory that one step used in one
 * shape serves the next in any other, and the process needs little more than the most that was ever in use at once.
 * Not thread-safe.
 */
class Arena {
 public:
  /** A block of at least `bytes` (a multiple of 64), aligned to 64 bytes; null when the system has no memory left. */
  Block* acquire(size_t bytes);
  void release(Block* block);
  /** Gives the pages of free blocks back to the system. */
  void trim();
  /** Bytes the arena holds from the system, in use or free. */
  size_t reservedBytes() const { return reserved_; }

 private:
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->bytes != b->bytes ? a->bytes < b->bytes : a->start < b->start;
    }
  };

  /** Addresses asked from the system at once. `last` is the topmost block. */
  struct Range {
    char* start;
    size_t bytes;
    size_t used;
    Block* last;
  };

  Block* grow(size_t bytes);
  Block* extend(Range& range, size_t bytes);
  void split(Block* block, size_t bytes);
  Block* merge(Block* block);

  std::set<Block*, BySize> free_;
  std::vector<Range> ranges_;
  size_t reserved_ = 0;
};

}  // namespace stemma

#pragma once

#include <stdint.h>

namespace stemma {

/** One sequence of random words, as `Draw` in src/core/random.ts. */
struct Draw {
  uint32_t key[2];
  uint32_t stream;
};

}  // namespace stemma

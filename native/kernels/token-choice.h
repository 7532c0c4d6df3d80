#pragma once

#include <stdint.h>

namespace stemma {

/** Amounts for some tokens. */
struct TokenAmounts {
  const int32_t* ids;
  const double* amounts;
  int64_t count;
};

/** How a token is chosen: `TokenChoice` in src/backend/token-choice.ts. */
struct TokenChoice {
  double temperature;
  int64_t topK;
  double topP, minP, uniform, repetitionPenalty;
  const int32_t* seen;
  int64_t seenCount;
  TokenAmounts bias, lowered;
  /** Or null. */
  const int32_t* allowed;
  /** −1 where a token is chosen. */
  int64_t given;
  /** −1 for no log-probabilities. */
  int64_t alternatives;
  /** log₂ of the largest weight. */
  int64_t weightBits;
};

/**
 * What a choice leaves: the token, its logit, the largest logit, the sum of all weights as a multiple of the largest, how
 * many alternatives there are, and these, each with its logit.
 */
constexpr int64_t kChoiceNumbers = 5;

}  // namespace stemma

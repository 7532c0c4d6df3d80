#include "kernels/attention-parts.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

namespace {

/** One sequence of a ragged batch as a batch of its own; `mask` is its own, too. */
Attention sequenceOf(const RaggedAttention& all, const RaggedSequence& s) {
  const AttentionRule& r = all.rule;
  Attention a{};
  a.rule = r;
  a.rule.queries = s.queries;
  a.rule.keys = s.length;
  a.rule.mask = &s.start;
  a.rule.maskWidth = 3;
  a.query = {all.query.data + s.firstQuery * all.query.rowStride, all.query.rowStride, 0};
  const auto from = [&](const HeadRows& rows) {
    return HeadRows{(float*)((char*)rows.data + bytesOf(all.stored, s.firstKey * rows.rowStride)), rows.rowStride, 0};
  };
  a.key = from(all.key);
  a.value = from(all.value);
  a.stored = all.stored;
  a.out = all.out + s.firstQuery * r.heads * r.headDim;
  return a;
}

bool isFew(const RaggedSequence& s) { return s.queries < kFewQueries; }

/** Tasks of a sequence for one key-value head. */
int64_t stretchesOf(const RaggedSequence& s) { return isFew(s) ? s.queries : (s.queries + kChunk - 1) / kChunk; }

}  // namespace

/** Sequences of few queries, which decode, are read in place, others packed: the sums are in the same order. */
void raggedAttention(const RaggedAttention& a, int threads) {
  const AttentionRule& r = a.rule;
  const Scratch list((size_t)(a.count + 1) * sizeof(int64_t));
  int64_t* const firstTasks = (int64_t*)list.bytes();
  int64_t tasks = 0, floats = queryFloats(r);
  for (int64_t s = 0; s < a.count; s++) {
    firstTasks[s] = tasks;
    tasks += stretchesOf(a.sequences[s]) * r.keyValueHeads;
    if (!isFew(a.sequences[s])) floats = chunkFloats(r, a.stored);
  }
  if (floats < queryFloats(r)) floats = queryFloats(r);
  Scratch memory((size_t)((threads < tasks ? threads : tasks) * floats) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    int64_t s = a.count - 1;
    while (firstTasks[s] > task) s--;
    const RaggedSequence& sequence = a.sequences[s];
    const Attention own = sequenceOf(a, sequence);
    const int64_t at = task - firstTasks[s], stretches = stretchesOf(sequence);
    const int64_t group = at / stretches, stretch = at % stretches;
    float* const room = memory.floats() + slot * floats;
    if (isFew(sequence)) return attendQuery(own, 0, group, stretch, room);
    const int64_t begin = stretch * kChunk, end = begin + kChunk < sequence.queries ? begin + kChunk : sequence.queries;
    attendChunk(own, 0, group, begin, end, room);
  });
}

}  // namespace stemma::STEMMA_ISA

#include "runtime/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace stemma {

namespace {

using Run = void (*)(void*, int64_t, int);

/** How long a worker looks for the next job before it sleeps; kernels of one step follow each other much faster. */
constexpr auto kSpin = std::chrono::microseconds(50);

constexpr int kMaxThreads = 512;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Tasks of a job that one thread is to do: the job's number (upper half) and the next task (lower half). */
struct alignas(64) Share {
  std::atomic<uint64_t> next{0};
};

/**
 * One job at a time; its number is odd while it is open. Each thread has a share of neighbouring tasks, the same from
 * job to job: what it wrote in one kernel is in its own cache when it reads it in the next. With its own share done, it
 * helps the others with theirs. A worker copies the job's fields, then claims a task by raising `next` of a share from
 * the value it saw before: if that succeeds, the job was open all the while and the copy is of this job.
 */
class Pool {
 public:
  void run(int threads, int64_t tasks, void* context, Run body) {
    threads = std::min(threads, kMaxThreads);
    startWorkers(threads - 1);
    const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_relaxed);
    threads_.store(threads, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    for (int i = 0; i < threads; i++) {
      shares_[i].next.store(ticketOf(job, firstOf(i, tasks, threads)), std::memory_order_release);
    }
    job_.store(job, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    work(job, 0);
    for (int i = 0; finished_.load(std::memory_order_acquire) < tasks; i++) {
      if (i < 20000) pause();
      else std::this_thread::yield();
    }
    job_.store(job + 1, std::memory_order_relaxed);
    for (int i = 0; i < threads; i++) shares_[i].next.store(ticketOf(job + 1, 0), std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

 private:
  static uint64_t ticketOf(uint32_t job, int64_t task) { return (uint64_t)job << 32 | (uint64_t)task; }

  static int64_t firstOf(int share, int64_t tasks, int threads) { return tasks * share / threads; }

  /** Does tasks of a job, those of the thread's own share first, until none is left. */
  void work(uint32_t job, int slot) {
    const int threads = threads_.load(std::memory_order_relaxed);
    for (int i = 0; slot < threads && i < threads; i++) workShare(job, (slot + i) % threads, slot);
  }

  /** Does tasks of one share until none is left, and then says how many: each word to the others takes its time. */
  void workShare(uint32_t job, int share, int slot) {
    std::atomic<uint64_t>& next = shares_[share].next;
    int64_t done = 0;
    uint64_t ticket = next.load(std::memory_order_acquire);
    while (ticket >> 32 == job) {
      const Run body = body_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      const int64_t tasks = tasks_.load(std::memory_order_relaxed);
      const int threads = threads_.load(std::memory_order_relaxed);
      const int64_t task = (int64_t)(ticket & 0xffffffffu);
      if (task >= firstOf(share + 1, tasks, threads)) break;
      if (!next.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      body(context, task, slot);
      done++;
      ticket = next.load(std::memory_order_acquire);
    }
    if (done > 0) finished_.fetch_add(done, std::memory_order_release);
  }

  void startWorkers(int count) {
    for (; workers_ < count; workers_++) {
      const int slot = workers_ + 1;
      std::thread([this, slot] { serve(slot); }).detach();
    }
  }

  void serve(int slot) {
    for (uint32_t last = 0;;) {
      last = waitForJob(last);
      work(last, slot);
    }
  }

  /** The number of an open job other than the last one. */
  uint32_t waitForJob(uint32_t last) {
    auto isNew = [&](uint32_t job) { return job % 2 == 1 && job != last; };
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; i++) {
        const uint32_t job = job_.load(std::memory_order_acquire);
        if (isNew(job)) return job;
        pause();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    uint32_t job = 0;
    wake_.wait(lock, [&] { return isNew(job = job_.load(std::memory_order_seq_cst)); });
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
    return job;
  }

  std::atomic<uint32_t> job_{0};
  std::atomic<int64_t> finished_{0};
  std::atomic<Run> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> tasks_{0};
  std::atomic<int> threads_{0};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  int workers_ = 0;
  Share shares_[kMaxThreads];
};

std::atomic_flag isBusy = ATOMIC_FLAG_INIT;

/** Never destroyed: workers outlive every environment, and sleep when nobody asks anything of them. */
Pool& pool() {
  static Pool* const shared = new Pool();
  return *shared;
}

}  // namespace

int availableCores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const int cores = (int)std::thread::hardware_concurrency();
  return cores > 0 ? cores : 1;
}

void parallelFor(int threads, int64_t tasks, void* context, Run run) {
  const int useful = (int64_t)threads < tasks ? threads : (int)tasks;
  if (useful > 1 && !isBusy.test_and_set(std::memory_order_acquire)) {
    pool().run(useful, tasks, context, run);
    isBusy.clear(std::memory_order_release);
    return;
  }
  for (int64_t task = 0; task < tasks; task++) run(context, task, 0);
}

}  // namespace stemma

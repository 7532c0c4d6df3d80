#include "runtime/threads.h"

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

constexpr int kMaxWorkers = 511;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/**
 * One job at a time. `ticket` holds the job's number (upper half, odd while the job is open) and its next task (lower
 * half). A worker copies the job's fields, then claims a task by raising `ticket` from the value it saw before: if that
 * succeeds, the job was open all the while and the copy is of this job.
 */
class Pool {
 public:
  void run(int threads, int64_t tasks, void* context, Run body) {
    startWorkers(threads - 1);
    const uint64_t number = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_relaxed);
    workersWanted_.store(threads - 1, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    ticket_.store(number << 32, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    work(number << 32, 0);
    for (int i = 0; finished_.load(std::memory_order_acquire) < tasks; i++) {
      if (i < 20000) pause();
      else std::this_thread::yield();
    }
    ticket_.store((number + 1) << 32, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

 private:
  static bool isOpen(uint64_t ticket) { return (ticket >> 32) % 2 == 1; }

  /** Does tasks of the job that `ticket` belongs to until none is left. */
  void work(uint64_t ticket, int slot) {
    const uint64_t job = ticket >> 32;
    while (ticket >> 32 == job) {
      const Run body = body_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      const int64_t tasks = tasks_.load(std::memory_order_relaxed);
      const int64_t task = (int64_t)(ticket & 0xffffffffu);
      if (task >= tasks || slot > workersWanted_.load(std::memory_order_relaxed)) return;
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        continue;
      }
      body(context, task, slot);
      finished_.fetch_add(1, std::memory_order_release);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  void startWorkers(int count) {
    for (; workers_ < count && workers_ < kMaxWorkers; workers_++) {
      const int slot = workers_ + 1;
      std::thread([this, slot] { serve(slot); }).detach();
    }
  }

  void serve(int slot) {
    uint64_t last = 0;
    for (;;) {
      const uint64_t ticket = waitForJob(last);
      last = ticket >> 32;
      work(ticket, slot);
    }
  }

  /** The ticket of an open job other than the last one. */
  uint64_t waitForJob(uint64_t last) {
    auto isNew = [&](uint64_t ticket) { return isOpen(ticket) && ticket >> 32 != last; };
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; i++) {
        const uint64_t ticket = ticket_.load(std::memory_order_acquire);
        if (isNew(ticket)) return ticket;
        pause();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    uint64_t ticket = 0;
    wake_.wait(lock, [&] { return isNew(ticket = ticket_.load(std::memory_order_seq_cst)); });
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
    return ticket;
  }

  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> finished_{0};
  std::atomic<Run> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> tasks_{0};
  std::atomic<int> workersWanted_{0};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  int workers_ = 0;
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

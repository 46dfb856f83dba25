// SPDX-License-Identifier: Apache-2.0
#include "base/realtime.h"

#include <execinfo.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ctime>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace conclave::realtime {
namespace {

thread_local int depth = 0;
std::atomic<int> action{static_cast<int>(OnViolation::kCount)};
std::atomic<std::uint64_t> count{0};

void print(const char* text) noexcept {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

}  // namespace

// The interposer defines the strong one.
extern "C" __attribute__((weak)) int conclave_realtime_interposer_linked() { return 0; }

Scope::Scope() noexcept { ++depth; }
Scope::~Scope() noexcept { --depth; }
Exempt::Exempt() noexcept : saved_(depth) { depth = 0; }
Exempt::~Exempt() noexcept { depth = saved_; }

bool guarded() noexcept { return conclave_realtime_interposer_linked() != 0; }
bool marked() noexcept { return depth > 0; }
void on_violation(OnViolation a) noexcept { action.store(static_cast<int>(a)); }
std::uint64_t violations() noexcept { return count.load(std::memory_order_relaxed); }

void check(const char* what) noexcept {
  if (depth <= 0) return;
  count.fetch_add(1, std::memory_order_relaxed);
  if (action.load(std::memory_order_relaxed) != static_cast<int>(OnViolation::kAbort)) return;
  depth = 0;
  print("real-time violation: ");
  print(what);
  print("\n");
  void* stack[48];
  backtrace_symbols_fd(stack, backtrace(stack, 48), STDERR_FILENO);
  std::abort();
}

void flush_denormals() noexcept {
#if defined(__SSE__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ | DAZ
#elif defined(__aarch64__)
  std::uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | (1u << 24)));
#endif
}

ThreadSetup prepare_thread(int priority, std::size_t stack_bytes) noexcept {
  ThreadSetup setup;
  sched_param param{};
  param.sched_priority = priority;
  setup.fifo = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0;
  setup.locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
  // Touch the stack page by page, so that no page fault waits for the first deep call.
  volatile char* touched = static_cast<volatile char*>(__builtin_alloca(stack_bytes));
  for (std::size_t i = 0; i < stack_bytes; i += 4096) touched[i] = 0;
  flush_denormals();
  return setup;
}

std::int64_t thread_cpu_ns() noexcept {
  std::timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace conclave::realtime

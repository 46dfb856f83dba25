// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

namespace conclave {

/// Monotonic time in nanoseconds. Everything that waits or measures takes a Clock, so that tests
/// need not wait. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_ns() const noexcept = 0;
};

/// CLOCK_MONOTONIC; a vDSO read, not a system call.
class SystemClock final : public Clock {
 public:
  std::int64_t now_ns() const noexcept override { return now(); }
  static std::int64_t now() noexcept {
    std::timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
  }
};

/// Moves only when told.
class ManualClock final : public Clock {
 public:
  std::int64_t now_ns() const noexcept override { return now_.load(std::memory_order_acquire); }
  void advance_ns(std::int64_t by) noexcept { now_.fetch_add(by, std::memory_order_acq_rel); }

 private:
  std::atomic<std::int64_t> now_{0};
};

}  // namespace conclave

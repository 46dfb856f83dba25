// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace conclave {

/// The newest value of something, from one writer thread to one reader thread, wait-free on both
/// sides: a triple buffer. The writer never waits for the reader; the reader never sees a torn or
/// an older value than it has seen before. Parameters go into the audio thread and metrics come out
/// of it this way.
template <typename T>
class LatestValue {
  static_assert(std::is_trivially_copyable_v<T>, "values cross threads by copy");

 public:
  explicit LatestValue(const T& initial = T{}) : slots_{{initial}, {initial}, {initial}} {}
  LatestValue(const LatestValue&) = delete;
  LatestValue& operator=(const LatestValue&) = delete;

  /// Writer.
  void publish(const T& value) noexcept {
    slots_[back_].value = value;
    back_ = middle_.exchange(back_ | kFresh, std::memory_order_acq_rel) & kIndex;
  }
  /// Reader. The newest value published; stays valid until the next read().
  const T& read() noexcept {
    if ((middle_.load(std::memory_order_relaxed) & kFresh) != 0) {
      front_ = middle_.exchange(front_, std::memory_order_acq_rel) & kIndex;
    }
    return slots_[front_].value;
  }
  /// Reader. True when read() would return something newer.
  bool fresh() const noexcept { return (middle_.load(std::memory_order_relaxed) & kFresh) != 0; }

 private:
  static constexpr std::uint8_t kIndex = 3;
  static constexpr std::uint8_t kFresh = 4;
  struct alignas(64) Slot {
    T value;
  };
  Slot slots_[3];
  alignas(64) std::atomic<std::uint8_t> middle_{1};
  alignas(64) std::uint8_t back_ = 2;   // writer's
  alignas(64) std::uint8_t front_ = 0;  // reader's
};

}  // namespace conclave

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace conclave {

/// Bounded queue for exactly one producer thread and one consumer thread. Wait-free; allocates in
/// the constructor only. No stand-alone fences, so ThreadSanitizer understands it. Each side keeps
/// a cached copy of the other's index and touches the shared line only when the cache runs out
/// (Lamport's queue with the caching of Lee et al., "MCRingBuffer", IPDPS 2010).
template <typename T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>, "elements cross threads by copy");

 public:
  /// Holds at least `capacity` elements (rounded up to a power of two).
  explicit SpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? std::size_t{2} : capacity) - 1),
        slots_(std::make_unique<T[]>(mask_ + 1)) {}

  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  std::size_t capacity() const { return mask_ + 1; }

  /// Producer. False when full; the element is then dropped by the caller's choice.
  bool try_push(const T& element) noexcept {
    if (T* slot = begin_push()) {
      *slot = element;
      end_push();
      return true;
    }
    return false;
  }
  /// Producer. A slot to fill in place, or null when full; publish it by end_push().
  T* begin_push() noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head - cached_tail_ > mask_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head - cached_tail_ > mask_) return nullptr;
    }
    return &slots_[head & mask_];
  }
  void end_push() noexcept {
    head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Consumer. False when empty.
  bool try_pop(T& element) noexcept {
    if (const T* slot = begin_pop()) {
      element = *slot;
      end_pop();
      return true;
    }
    return false;
  }
  /// Consumer. The oldest element in place, or null when empty; release it by end_pop().
  const T* begin_pop() noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == cached_head_) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail == cached_head_) return nullptr;
    }
    return &slots_[tail & mask_];
  }
  void end_pop() noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Either side; a snapshot that may be stale by the time it is read.
  std::size_t size() const noexcept {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_acquire);
  }

 private:
  const std::size_t mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t cached_tail_ = 0;  // producer's
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t cached_head_ = 0;  // consumer's
};

}  // namespace conclave

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace conclave::media {

/// How late packets come, relative to the fastest of the last seconds: the sender's clock and ours
/// need not agree, not even in rate. A forgetting histogram of that relative delay with 2 ms
/// buckets gives the delay that covers nearly all packets (the method of WebRTC's NetEQ, with
/// buckets ten times finer). One thread, no allocation, no clock of its own.
class DelayEstimator {
 public:
  static constexpr double kQuantile = 0.99;
  static constexpr double kBucketMs = 2.0;

  void reset() noexcept;
  /// A packet: its unwrapped timestamp in ticks of 48 kHz, and its arrival. Returns the delay
  /// relative to the fastest, ms.
  double update(std::int64_t timestamp48, std::int64_t arrival_ns) noexcept;

  /// The delay that covers kQuantile of the packets, ms: the upper edge of its bucket.
  double target_ms() const noexcept { return target_ms_; }
  /// Transit time (arrival minus timestamp, in ns of no particular origin) of the fastest packet.
  std::int64_t base_ns() const noexcept { return base_ns_; }
  bool started() const noexcept { return packets_ > 0; }
  /// How much faster the sender's clock runs than ours; 0 until 20 s have been seen.
  double drift_ppm() const noexcept;

  static std::int64_t ticks_to_ns(std::int64_t ticks48) noexcept { return ticks48 * 62500 / 3; }

 private:
  static constexpr int kBuckets = 256;
  static constexpr int kSeconds = 64;     // history for the drift
  static constexpr int kBaseSeconds = 4;  // and of it for the base
  void find_base() noexcept;
  void find_target() noexcept;

  std::array<float, kBuckets> histogram_{};
  std::uint64_t packets_ = 0;
  double target_ms_ = 0;
  std::int64_t base_ns_ = 0;
  std::array<std::int64_t, kSeconds> minima_{};  // of the transit, second by second
  std::int64_t second_ = 0;                      // of the newest entry
  int seconds_ = 0;                              // entries in use
};

}  // namespace conclave::media

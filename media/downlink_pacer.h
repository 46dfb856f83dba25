// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace conclave::media {

/// When to look at the rings, and how many frames to keep ready for the engine.
///
/// The engine takes a frame every 10 ms and cannot wake anybody (that would be a system call on the
/// audio thread), so the media thread looks for itself: right after a frame has moved it sleeps for
/// most of the period, then looks every millisecond. One frame kept ready is enough as long as the
/// thread wakes on time; when the machine makes it late, two are kept for a while. All on the media
/// thread; times are passed in.
class DownlinkPacer {
 public:
  /// `fixed_frames` 1..4, or 0 to choose between 1 and 2.
  explicit DownlinkPacer(int fixed_frames = 0) : fixed_(std::clamp(fixed_frames, 0, 4)) {}

  std::size_t frames() const noexcept {
    return static_cast<std::size_t>(fixed_ != 0 ? fixed_ : careful_ ? 2 : 1);
  }
  /// A timer wake-up that had been asked for `planned_ns` came at `now_ns`.
  void woke(std::int64_t planned_ns, std::int64_t now_ns) noexcept {
    if (now_ns - planned_ns > kLateNs) {
      careful_ = true;
      careful_until_ns_ = now_ns + kCarefulNs;
    } else if (careful_ && now_ns > careful_until_ns_) {
      // The first look at the clock only starts the waiting.
      if (careful_until_ns_ == 0) {
        careful_until_ns_ = now_ns + kCarefulNs;
      } else {
        careful_ = false;
      }
    }
  }
  /// A frame moved in either ring.
  void moved(std::int64_t now_ns) noexcept { moved_ns_ = now_ns; }
  /// When to look next.
  std::int64_t next_look_ns(std::int64_t now_ns) const noexcept {
    const std::int64_t since = now_ns - moved_ns_;
    if (since < kSleepNs) return moved_ns_ + kSleepNs;
    return now_ns + (since > kIdleNs ? 5 * kLookNs : kLookNs);
  }

 private:
  static constexpr std::int64_t kSleepNs = 8'500'000;
  static constexpr std::int64_t kLookNs = 1'000'000;
  static constexpr std::int64_t kIdleNs = 200'000'000;  // nobody takes anything: look less often
  static constexpr std::int64_t kLateNs = 4'000'000;
  static constexpr std::int64_t kCarefulNs = 10'000'000'000;
  int fixed_;
  bool careful_ = true;
  std::int64_t careful_until_ns_ = 0;
  std::int64_t moved_ns_ = 0;
};

}  // namespace conclave::media

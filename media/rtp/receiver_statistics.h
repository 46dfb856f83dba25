// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace conclave::media {

/// Counts one source's packets: sequence numbers after RFC 3550 A.1, loss after A.3, interarrival
/// jitter after A.8. One thread.
class ReceiverStatistics {
 public:
  enum class Verdict {
    kAccepted,  ///< in order, or out of order within 100 packets
    kRestart,   ///< the source began anew: forget what was buffered, then use it
    kRejected,  ///< a jump that nothing has confirmed yet
  };
  /// `arrival_ns` is monotonic; `clock_rate` of the timestamps is 48000.
  Verdict update(std::uint32_t ssrc, std::uint16_t sequence, std::uint32_t timestamp,
                 std::int64_t arrival_ns) noexcept;

  bool started() const { return started_; }
  std::uint32_t ssrc() const { return ssrc_; }
  std::uint32_t highest_sequence() const { return cycles_ + max_; }
  std::uint64_t received() const { return total_received_; }
  /// Expected minus received since the (re)start; negative when duplicates outweigh.
  std::int64_t cumulative_lost() const;
  /// Over the whole call, restarts included; never negative.
  std::uint64_t lost() const;
  double jitter_ms() const { return jitter_ / 48.0; }
  std::uint32_t jitter_units() const { return static_cast<std::uint32_t>(jitter_); }
  /// Of 256, since the last call of this function (for one RTCP report).
  std::uint8_t take_fraction_lost() noexcept;

 private:
  void restart(std::uint32_t ssrc, std::uint16_t sequence) noexcept;

  bool started_ = false;
  std::uint32_t ssrc_ = 0;
  std::uint32_t cycles_ = 0;  // wraps, shifted by 16
  std::uint16_t max_ = 0;
  std::uint32_t base_ = 0;
  std::uint32_t bad_ = 0x10000;  // the sequence number that would confirm a jump
  std::uint64_t received_ = 0;
  std::uint64_t total_received_ = 0;
  std::uint64_t lost_before_ = 0;
  std::int64_t expected_prior_ = 0;
  std::int64_t received_prior_ = 0;
  bool have_transit_ = false;
  std::uint32_t transit_ = 0;
  double jitter_ = 0;
};

}  // namespace conclave::media
